/** Save the picture: what the canvases show, with the words that keep it honest burnt in. */
import type { Snapshot } from '../model/snapshot';
import { shownPart } from '../render/strip';
import { newYorkDate, newYorkTime } from '../units/time';

/** Canvases of the picture, in the order they lie on each other. */
const PANELS = ['heatmap', 'crosshair', 'price-axis', 'ladder', 'profile', 'gamma', 'time-axis', 'flow', 'delta'];

/** One sentence that belongs to every picture. */
export function captionOf({ source, history }: Snapshot): string {
  if (source === null || history.isEmpty) return 'Spymaster';
  const origin = source.origin === 'simulated' ? 'SIMULATED, none of this happened · ' : '';
  const ahead = source.lookahead ? ', looks ahead' : '';
  return `${origin}${source.symbol} ${newYorkDate(history.head)} ${newYorkTime(history.head)} New York · one-second data · `
    + `calibration ${source.calibrationId}${ahead} · describes, does not forecast`;
}

/** Paint all panels into one canvas. Must run in the frame that drew them, while WebGL still holds its pixels. */
export function composePicture(snapshot: Snapshot, background: string, ink: string, font: string): HTMLCanvasElement {
  const hud = document.getElementById('hud')!;
  const whole = hud.getBoundingClientRect();
  const dpr = window.devicePixelRatio || 1;
  const parts = PANELS.map((id) => document.getElementById(`panel-${id}`)!);
  const boxes = parts.map((part) => part.getBoundingClientRect());
  const top = Math.min(...boxes.map((box) => box.top));
  const bottom = Math.max(...boxes.map((box) => box.bottom));
  const caption = 22;
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(whole.width * dpr);
  canvas.height = Math.round((bottom - top + caption) * dpr);
  const g = canvas.getContext('2d')!;
  g.scale(dpr, dpr);
  g.fillStyle = background;
  g.fillRect(0, 0, whole.width, bottom - top + caption);
  parts.forEach((part, i) => {
    const box = boxes[i]!;
    for (const layer of part.querySelectorAll('canvas')) {
      const { x, width } = shownPart(layer);
      if (width > 0 && layer.height > 0) g.drawImage(layer, x, 0, width, layer.height, box.left - whole.left, box.top - top + caption, box.width, box.height);
    }
    for (const label of part.querySelectorAll('.strip-label')) drawLabel(g, label, whole.left, top - caption);
  });
  g.fillStyle = ink;
  g.font = font;
  g.textBaseline = 'middle';
  g.fillText(captionOf(snapshot), 8, caption / 2);
  return canvas;
}

/** A label of the document as it stands over its canvas. */
function drawLabel(g: CanvasRenderingContext2D, label: Element, left: number, top: number): void {
  const style = getComputedStyle(label);
  const box = label.getBoundingClientRect();
  g.fillStyle = style.backgroundColor;
  g.fillRect(box.left - left, box.top - top, box.width, box.height);
  g.fillStyle = style.color;
  g.font = `${style.fontSize} ${style.fontFamily}`;
  g.textBaseline = 'middle';
  g.fillText(label.textContent ?? '', box.left - left + parseFloat(style.paddingLeft), box.top - top + box.height / 2);
}

/** Offer the picture as a file. */
export function savePicture(canvas: HTMLCanvasElement, { source, history }: Snapshot): void {
  const name = source === null ? 'spymaster.png'
    : `spymaster-${source.symbol}-${newYorkDate(history.head)}-${newYorkTime(history.head).replaceAll(':', '')}.png`;
  canvas.toBlob((blob) => {
    if (blob === null) return;
    const url = URL.createObjectURL(blob);
    const link = document.createElement('a');
    link.href = url;
    link.download = name;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(url), 1000);
  }, 'image/png');
}
