/** Volume by price since the trade date's start, split by aggressor, with the point of control. */
import { InvalidateLevel } from '../model/invalidate';
import { priceKey, Sketch } from './canvas';
import { feedsOf } from './feeds';
import type { Panel, PanelContext } from './panel';
import { lotsText, priceText, shortLotsText } from './text';

let page: PanelContext;
let sketch: Sketch;

export const profile: Panel = {
  id: 'profile',
  mount(host, context) {
    page = context;
    sketch = new Sketch(host, 'Volume profile');
    host.title = 'Lots traded at each price since the trade date\'s start: aggressive sellers left, buyers right of them. The line is the point of control. Renewed every 5 s while the clock runs.';
  },
  draw(level) {
    if (level < InvalidateLevel.Light) return;
    const { source, viewport } = page.store.snapshot;
    const known = feedsOf(page).profile;
    if (source === null || viewport.heightPx <= 1) return;
    const sheet = sketch.begin(source, known, ...priceKey(viewport));
    if (sheet === null) return;
    const { g, width, height } = sheet;
    const size = sketch.size;
    const headHeight = size * 1.5;
    const { volume } = known ?? { volume: null };
    if (volume !== null && volume.peakQty > 0) {
      const pxPerTick = viewport.pxPerTick / viewport.dpr;
      // below one pixel a tick the longest bar of a pixel stands: a peak survives every zoom
      const thick = Math.max(1, pxPerTick - (pxPerTick > 3 ? 1 : 0));
      const scale = (width - 6) / volume.peakQty;
      for (let i = 0; i < volume.ticks.length; i++) {
        const y = viewport.yOfTicks(volume.ticks[i]!);
        if (y < headHeight || y > height) continue;
        const [sell, buy, auction] = [volume.sellQty[i]! * scale, volume.buyQty[i]! * scale, volume.auctionQty[i]! * scale];
        g.globalAlpha = 0.75;
        g.fillStyle = sketch.colour('ask');
        g.fillRect(0, y - thick / 2, sell, thick);
        g.fillStyle = sketch.colour('bid');
        g.fillRect(sell, y - thick / 2, buy, thick);
        g.fillStyle = sketch.colour('dim');
        g.fillRect(sell + buy, y - thick / 2, auction, thick);
        g.globalAlpha = 1;
      }
      const y = viewport.yOfTicks(volume.pointOfControl);
      g.fillStyle = sketch.colour('bright');
      g.fillRect(0, Math.round(y), width, 1);
      sketch.useFont(0.86);
      g.textAlign = 'right';
      if (y > headHeight && y < height) g.fillText('POC', width - 2, y - size * 0.6);
      sketch.describe(() => `Volume profile, ${lotsText(volume.totalQty)} lots, point of control ${priceText(volume.pointOfControl, source.tick)} with ${lotsText(volume.peakQty)}`);
    }
    g.fillStyle = sketch.colour('panel');
    g.fillRect(0, 0, width, headHeight);
    g.fillStyle = sketch.colour('dim');
    sketch.useFont(0.86);
    g.textAlign = 'left';
    g.fillText(volume === null ? 'volume' : `vol ${shortLotsText(volume.totalQty)}`, 3, headHeight / 2);
  },
};
