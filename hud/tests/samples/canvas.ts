/** A canvas that holds opaque pixels and nothing else: what the Canvas2D field needs of one, for tests without a browser. */
export class FakeCanvas {
  readonly style = { width: '', transform: '' };
  private wide = 0;
  private high = 0;
  pixels = new Uint32Array(0);
  /** Pixels put so far. */
  put = 0;

  get width(): number { return this.wide; }
  set width(width: number) { this.wide = width; this.pixels = new Uint32Array(width * this.high); }
  get height(): number { return this.high; }
  set height(height: number) { this.high = height; this.pixels = new Uint32Array(this.wide * height); }

  getContext(): unknown {
    return {
      canvas: this,
      createImageData: (width: number, height: number) => ({ width, height, data: new Uint8ClampedArray(4 * width * height) }),
      putImageData: (image: { width: number; data: Uint8ClampedArray }, dx: number, dy: number, x0: number, y0: number, w: number, h: number) => {
        const from = new Uint32Array(image.data.buffer);
        for (let y = y0; y < y0 + h; y++) {
          for (let x = x0; x < x0 + w; x++) {
            const [tx, ty] = [x + dx, y + dy];
            if (tx >= 0 && ty >= 0 && tx < this.wide && ty < this.high) this.pixels[ty * this.wide + tx] = from[y * image.width + x]!;
          }
        }
        this.put += w * h;
      },
      getImageData: (x0: number, y0: number, w: number, h: number) => {
        const data = new Uint32Array(w * h);
        for (let y = 0; y < h; y++) data.set(this.pixels.subarray((y0 + y) * this.wide + x0, (y0 + y) * this.wide + x0 + w), y * w);
        return { data: new Uint8ClampedArray(data.buffer) };
      },
    };
  }
}
