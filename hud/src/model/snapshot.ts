/**
 * What a panel sees: one read-only picture of everything the page knows. A new `Snapshot` object is made on every
 * change; the arrays inside `history` and `day` are shared and must not be written.
 */
import type { PriceInt, Tick, Ticks } from '../units/price';
import type { WindowNo } from '../units/time';
import type { HistoryView } from './history';
import type { Settings } from './settings';
import type { ViewportView } from './viewport';

/** Where the data come from: hello message and catalogue. */
export interface Source {
  readonly symbol: string;
  /** YYYY-MM-DD. */
  readonly dt: string;
  readonly origin: 'recorded' | 'simulated';
  readonly epoch: string;
  readonly firstWindow: WindowNo;
  readonly lastWindow: WindowNo;
  readonly tick: Tick;
  /** `<calibration_dt>/<16 hex digits>`; colours and scores compare within one calibration only. */
  readonly calibrationId: string;
  /** The scores look ahead within the day: calibration_dt >= dt (spec 6). */
  readonly lookahead: boolean;
  /** Bounds of ln(1 + resting lots) from the calibration: the walls' default contrast. */
  readonly wallBounds: { readonly q05: number; readonly q95: number };
  /** Warnings of the manifests, as the catalogue gives them, for example "no_oi". */
  readonly warnings: readonly string[];
  /** false when a raw file could not be verified. */
  readonly verified: boolean;
  /** Engine counters of data quality by name (spec 4.10); empty when the service does not give them. */
  readonly counters: Readonly<Record<string, number>>;
}

export type Link = 'connecting' | 'open' | 'lost' | 'refused';

/** The wire, as a person wants to hear about it. */
export interface Connection {
  readonly link: Link;
  /** Epoch milliseconds of the browser's clock since when it is lost; null while it is not. */
  readonly lostSinceMs: number | null;
  /** Windows received on this page, bootstrap included. */
  readonly windowsReceived: number;
  /** Windows a slow client was not sent (gap messages), and how often. */
  readonly windowsDropped: number;
  readonly gapCount: number;
  /** Reconnects so far, and what the last one says: a sentence, or null. */
  readonly reconnects: number;
  readonly notice: string | null;
}

/** The clock of the service. */
export interface Transport {
  readonly clock: 'private' | 'shared';
  readonly playing: boolean;
  /** 0.1 .. 1000, or 'max'. */
  readonly speed: number | 'max';
  /** Newest window on screen; NaN before the first. */
  readonly position: WindowNo;
  /** A seek is under way: the window it goes to; null otherwise. */
  readonly seeking: WindowNo | null;
  /** The last window of the day was sent. */
  readonly ended: boolean;
}

/** The whole day, one entry per window from `firstWindow` on, from /v1/hud/day. */
export interface DayOverview {
  readonly firstWindow: WindowNo;
  readonly windows: number;
  /** Ticks; NaN where there is none. */
  readonly spot: Float64Array;
  readonly mid: Float64Array;
  readonly high: Float64Array;
  readonly low: Float64Array;
  /** Volume-weighted average price in ticks (fractions), NaN before the first trade. */
  readonly vwap: Float64Array;
  readonly buyQty: Int32Array;
  readonly sellQty: Int32Array;
  readonly cumDelta: Float64Array;
  readonly bookValid: Uint8Array;
  readonly phase: Uint8Array;
  readonly aboveScore: Float64Array;
  readonly belowScore: Float64Array;
}

/** A reference level from /v1/levels: drawn when available, else "n/a" with the reason. */
export interface ReferenceLevel {
  readonly name: string;
  readonly ticks: Ticks;
  /** null when available; else why it is not, as a sentence. */
  readonly unavailable: string | null;
  /** Definition and source, for the legend. */
  readonly definition: string;
  /** Known from this window on: drawn only there, so that no line looks ahead. NaN: since before the day. */
  readonly knownFrom: WindowNo;
}

/** The pointer over the heatmap. */
export interface Cursor {
  readonly window: WindowNo;
  readonly ticks: Ticks;
  /** CSS pixels from the heatmap's corner. */
  readonly x: number;
  readonly y: number;
}

/** The measuring tool: two corners in the world; it stays where it is when the picture moves. */
export interface Measure {
  readonly from: { readonly window: WindowNo; readonly ticks: Ticks };
  readonly to: { readonly window: WindowNo; readonly ticks: Ticks };
}

export interface Snapshot {
  /** 'loading' before the first picture, 'ready' after it, 'failed' when nothing can be shown. */
  readonly stage: 'loading' | 'ready' | 'failed';
  /** What went wrong last, as a sentence with the cure; null when all is well. */
  readonly error: string | null;
  readonly source: Source | null;
  readonly connection: Connection;
  readonly transport: Transport;
  readonly history: HistoryView;
  readonly day: DayOverview | null;
  readonly levels: readonly ReferenceLevel[];
  readonly viewport: ViewportView;
  readonly settings: Settings;
  readonly cursor: Cursor | null;
  readonly measure: Measure | null;
  /** Which renderer paints the field. */
  readonly renderer: 'webgl2' | 'canvas2d';
}

/** What a link or a stored session asks the page to open with. Absent fields: the defaults. */
export interface Opening {
  readonly symbol?: string;
  readonly dt?: string;
  readonly window?: WindowNo;
  readonly playing?: boolean;
  readonly speed?: number | 'max';
  readonly settings?: Partial<Settings>;
  /** Minutes across and ticks from the middle to the edge. */
  readonly minutes?: number;
  readonly halfTicks?: number;
  /** Middle of the view in price; absent: follow the mid. */
  readonly centrePriceInt?: PriceInt;
  /** Right edge of the view in epoch seconds; absent: follow the head. */
  readonly rightSecond?: number;
}
