/** Gamma per strike, all flips, the band of the three conventions, and what is left of the chain's day. */
import { conventionsAgree } from '../model/gamma';
import { InvalidateLevel } from '../model/invalidate';
import { priceKey, Sketch } from './canvas';
import { element as el, setAttribute, setHidden, setText } from './dom';
import { feedsOf } from './feeds';
import type { Panel, PanelContext } from './panel';
import { durationText, gammaText, priceText, signedText } from './text';

let page: PanelContext;
let sketch: Sketch;
let badge: HTMLElement;

export const EXPIRED_TEXT = '0DTE expired, next chain not loaded';

export const gamma: Panel = {
  id: 'gamma',
  mount(host, context) {
    page = context;
    sketch = new Sketch(host, 'Gamma per strike');
    badge = el('div', { class: 'gamma-badge', hidden: true });
    host.append(badge);
    host.title = 'Gamma of one ES weekly chain on previous-day open interest, contracts per point: calls right, puts left of the middle. Triangles are flips. Not anyone\'s position.';
  },
  draw(level) {
    if (level < InvalidateLevel.Light) return;
    const { source, viewport, history } = page.store.snapshot;
    if (source === null || history.isEmpty || viewport.heightPx <= 1) return;
    const feeds = feedsOf(page);
    const chain = feeds.chain(history.head);
    const strikes = feeds.gammaAt?.ladder;
    const profile = feeds.gammaProfile;
    const live = chain.kind === 'live';
    const empty = live && strikes !== undefined && strikes.strikes.length === 0;

    const say = chain.kind === 'expired' ? EXPIRED_TEXT
      : chain.kind === 'none' ? `No gamma: ${chain.reason}`
      : empty ? 'No gamma at any strike of this second'
      : chain.countdown ? `0DTE expires in ${durationText(chain.secondsLeft)}` : '';
    setHidden(badge, say === '');
    setText(badge, say);
    setAttribute(badge, 'data-kind', empty ? 'none' : chain.kind);

    const sheet = sketch.begin(source, say, live, feeds.gammaAt, profile, ...priceKey(viewport));
    if (sheet === null) return;
    const { g, width, height } = sheet;
    const size = sketch.size;
    const headHeight = size * 1.5;
    const footHeight = size * 4.2;
    const middle = width / 2;
    if (live && strikes !== undefined && strikes.largest > 0) {
      const pxPerTick = viewport.pxPerTick / viewport.dpr;
      const thick = Math.min(10, Math.max(2, pxPerTick * 2));
      const scale = (middle - 3) / strikes.largest;
      for (const { ticks, call, put } of strikes.strikes) {
        const y = viewport.yOfTicks(ticks);
        if (y < headHeight || y > height - footHeight) continue;
        g.fillStyle = sketch.colour('call');
        g.fillRect(middle, y - thick / 2, call * scale, thick);
        g.fillStyle = sketch.colour('put');
        g.fillRect(middle - put * scale, y - thick / 2, put * scale, thick);
      }
    }
    g.fillStyle = sketch.colour('line');
    g.fillRect(middle, headHeight, 1, height - headHeight - footHeight);
    sketch.useFont(0.86);
    if (live && profile !== null) {
      const bottom = height - footHeight;
      // flips out of sight are named at the edge they lie beyond, the nearest first
      const above = profile.flips.find((flip) => viewport.yOfTicks(flip) < headHeight);
      const below = profile.flips.findLast((flip) => viewport.yOfTicks(flip) > bottom);
      g.fillStyle = sketch.colour('text');
      g.textAlign = 'left';
      if (above !== undefined) g.fillText(`▲${priceText(Math.round(above), source.tick)}`, 2, headHeight + size * 0.8);
      if (below !== undefined) g.fillText(`▼${priceText(Math.round(below), source.tick)}`, 2, bottom - size * 0.8);
      for (const flip of profile.flips) {
        const y = viewport.yOfTicks(flip);
        if (y < headHeight || y > bottom) continue;
        g.fillStyle = sketch.colour('bright');
        g.beginPath();
        g.moveTo(0, y - 5);
        g.lineTo(8, y);
        g.lineTo(0, y + 5);
        g.fill();
        g.fillRect(8, Math.round(y), width - 8, 1);
      }
      const tick = source.tick;
      const flips = profile.flips.map((ticks) => priceText(Math.round(ticks), tick)).join(', ');
      sketch.describe(() => `Gamma per strike, net ${signedText(profile.net, gammaText)} contracts per point; `
        + (flips === '' ? 'no flip within 150 points' : `flips at ${flips}`)
        + `; conventions from ${signedText(profile.bandLow, gammaText)} to ${signedText(profile.bandHigh, gammaText)}`
        + (conventionsAgree(profile) ? '' : ', which disagree about the sign'));
      drawConventions(g, width, bottom, footHeight, size);
    } else sketch.describe(() => (say === '' ? 'Gamma per strike' : say));
    g.fillStyle = sketch.colour('panel');
    g.fillRect(0, 0, width, headHeight);
    g.fillStyle = sketch.colour('put');
    g.textAlign = 'left';
    g.fillText('puts', 3, headHeight / 2);
    g.fillStyle = sketch.colour('call');
    g.textAlign = 'right';
    g.fillText('calls', width - 3, headHeight / 2);
  },
};

/** Net gamma under three conventions on one axis with zero marked: a band, because none of them is the truth. */
function drawConventions(g: CanvasRenderingContext2D, width: number, top: number, height: number, size: number): void {
  const profile = feedsOf(page).gammaProfile!;
  g.fillStyle = sketch.colour('panel');
  g.fillRect(0, top, width, height);
  const most = Math.max(Math.abs(profile.bandLow), Math.abs(profile.bandHigh), 1e-9);
  const x = (value: number): number => width / 2 + (value / most) * (width / 2 - 6);
  const y = top + size * 1.9;
  g.fillStyle = sketch.colour('dim');
  g.textAlign = 'left';
  g.fillText('net, 3 views', 3, top + size * 0.75);
  g.fillStyle = sketch.colour('line');
  g.fillRect(width / 2, y - 7, 1, 14);
  g.fillStyle = sketch.colour('raised');
  g.fillRect(x(profile.bandLow), y - 3, Math.max(1, x(profile.bandHigh) - x(profile.bandLow)), 6);
  g.fillStyle = sketch.colour('text');
  for (const value of Object.values(profile.conventions)) g.fillRect(x(value) - 1, y - 6, 2, 12);
  g.fillStyle = sketch.colour('text');
  g.fillText(signedText(profile.bandLow, gammaText), 3, top + size * 3.3);
  g.textAlign = 'right';
  g.fillText(signedText(profile.bandHigh, gammaText), width - 3, top + size * 3.3);
}
