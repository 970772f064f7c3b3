/**
 * The field on the GPU. One R8 texture per plane, price rows across and ring slots down, so that a second is one row
 * of texels, uploaded as it arrives and never moved (design 7). Painted pixels are kept in a texture (torus.ts), so
 * that a second more costs a few columns.
 */
import { HISTORY_WINDOWS, PRESENT, type HistoryView } from '../model/history';
import { GEX_NEUTRAL, HUD_ROWS, SIDE_ASK, SPOT_ROW } from '../model/planes';
import { FIELD_PLANES, spotTick, type FieldFrame, type FieldPlane, type FieldRenderer } from './field';
import * as look from './look';
import fragmentSource from './shaders/field.frag?raw';
import vertexSource from './shaders/field.vert?raw';
import unrollSource from './shaders/unroll.frag?raw';
import { Torus, wrap } from './torus';

/** Every number and colour of look.ts, and the layout of the planes, as defines of the shader. */
export function shaderDefines(): string {
  const whole = (name: string): boolean => /^(COL|ROW|LUT)_|^GAP_FROM$|^NO_SPOT$/.test(name);
  const float = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : String(value));
  const lines = Object.entries(look).map(([name, value]) => {
    if (typeof value === 'number') return `#define ${name} ${whole(name) ? value : float(value)}`;
    return `#define ${name} vec3(${value.map(float).join(', ')})`;
  });
  const layout = { HISTORY_WINDOWS, HUD_ROWS, SPOT_ROW, SIDE_ASK, GEX_NEUTRAL };
  return [...lines, ...Object.entries(layout).map(([name, value]) => `#define ${name} ${value}`)].join('\n');
}

export class WebGlField implements FieldRenderer {
  readonly kind = 'webgl2';
  private readonly gl: WebGL2RenderingContext;
  private program!: WebGLProgram;
  private unroll!: WebGLProgram;
  private readonly torus = new Torus();
  private painted!: WebGLTexture;
  private target!: WebGLFramebuffer;
  private readonly planes = new Map<FieldPlane, WebGLTexture>();
  private spots!: WebGLTexture;
  private columns!: WebGLTexture;
  private rows!: WebGLTexture;
  private lut!: WebGLTexture;
  private readonly uniforms = new Map<string, WebGLUniformLocation | null>();
  private lutBytes: Uint8Array | null = null;
  private history: HistoryView | null = null;
  private lastFrame: FieldFrame | null = null;
  private linked = false;
  private samplers: readonly string[] = [];
  private readonly parallel: { readonly COMPLETION_STATUS_KHR: number } | null;

  /**
   * @param software take a WebGL2 without a GPU too: it is several times slower than the Canvas2D twin
   * @throws Error when there is no WebGL2. Whether the shaders compile is known later, see `isReady`.
   */
  constructor(private readonly canvas: HTMLCanvasElement, software = false) {
    const gl = canvas.getContext('webgl2', {
      alpha: false, antialias: false, depth: false, stencil: false, preserveDrawingBuffer: false, failIfMajorPerformanceCaveat: !software,
    });
    if (!gl) throw new Error(software ? 'the browser gives no WebGL2' : 'the browser gives no WebGL2 on a GPU');
    const device = software ? null : softwareDevice(gl);
    if (device !== null) {
      gl.getExtension('WEBGL_lose_context')?.loseContext();
      throw new Error(`WebGL2 is drawn in software here (${device})`);
    }
    this.gl = gl;
    this.parallel = gl.getExtension('KHR_parallel_shader_compile') as { COMPLETION_STATUS_KHR: number } | null;
    this.build();
    canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
    canvas.addEventListener('webglcontextrestored', () => {
      this.build();
      if (this.lutBytes) this.setLut(this.lutBytes);
      if (this.history) this.upload(this.history, 'all');
      if (this.lastFrame) this.draw(this.lastFrame);
    });
  }

  private build(): void {
    const { gl } = this;
    // compiled beside the rest of the page's start: nothing asks how far it is before `isReady`
    this.linked = false;
    this.program = startProgram(gl, vertexSource, `#version 300 es\n${shaderDefines()}\n${fragmentSource}`);
    this.unroll = startProgram(gl, vertexSource, unrollSource);
    this.torus.invalidate();
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.PACK_ALIGNMENT, 1);
    this.uniforms.clear();
    const names: string[] = [];
    const texture = (name: string): WebGLTexture => {
      const made = gl.createTexture();
      gl.activeTexture(gl.TEXTURE0 + names.length);
      gl.bindTexture(gl.TEXTURE_2D, made);
      for (const edge of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, edge, gl.CLAMP_TO_EDGE);
      for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
      names.push(name);
      return made;
    };
    for (const plane of FIELD_PLANES) {
      this.planes.set(plane, texture(plane));
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R8, HUD_ROWS, HISTORY_WINDOWS);
    }
    this.spots = texture('spots');
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R32I, HISTORY_WINDOWS, 1);
    this.columns = texture('columns');
    this.rows = texture('rows');
    this.lut = texture('lut');
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA8, 256, look.LUT_ROWS);
    this.painted = texture('painted');
    this.target = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.painted, 0);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.samplers = names;
  }

  isReady(): boolean {
    if (this.linked) return true;
    const { gl, parallel } = this;
    const compiling = (program: WebGLProgram): boolean => (
      parallel !== null && gl.getProgramParameter(program, parallel.COMPLETION_STATUS_KHR) === false
    );
    if (gl.isContextLost() || compiling(this.program) || compiling(this.unroll)) return false;
    this.finish();
    return true;
  }

  /** Waits for the programs and connects their textures. @throws Error when a shader does not compile or link */
  private finish(): void {
    const { gl } = this;
    for (const program of [this.program, this.unroll]) demandLinked(gl, program);
    gl.useProgram(this.program);
    this.samplers.forEach((name, unit) => gl.uniform1i(this.uniform(name), unit));
    gl.useProgram(this.unroll);
    gl.uniform1i(this.uniform('painted', this.unroll), this.samplers.indexOf('painted'));
    this.linked = true;
  }

  private uniform(name: string, program = this.program): WebGLUniformLocation | null {
    const key = `${program === this.program ? 'field' : 'unroll'}.${name}`;
    if (!this.uniforms.has(key)) this.uniforms.set(key, this.gl.getUniformLocation(program, name));
    return this.uniforms.get(key) ?? null;
  }

  /** Bind a texture to the unit it was made with. */
  private bind(texture: WebGLTexture, unit: number): void {
    this.gl.activeTexture(this.gl.TEXTURE0 + unit);
    this.gl.bindTexture(this.gl.TEXTURE_2D, texture);
  }

  setLut(lut: Uint8Array): void {
    const { gl } = this;
    this.lutBytes = lut;
    this.torus.invalidate();
    this.bind(this.lut, FIELD_PLANES.length + 3);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, look.LUT_ROWS, gl.RGBA, gl.UNSIGNED_BYTE, lut);
  }

  upload(history: HistoryView, slots: readonly number[] | 'all'): void {
    const { gl } = this;
    this.history = history;
    this.torus.changed(slots, history.planes.hole_u8);
    // an absent slot has no spot, so that the shader never reads its planes
    const all = slots === 'all' ? Array.from(history.flags.keys()) : slots;
    for (const { first, count } of runsOf(all.filter((slot) => (history.flags[slot]! & PRESENT) !== 0))) {
      FIELD_PLANES.forEach((plane, unit) => {
        this.bind(this.planes.get(plane)!, unit);
        gl.texSubImage2D(
          gl.TEXTURE_2D, 0, 0, first, HUD_ROWS, count, gl.RED, gl.UNSIGNED_BYTE, history.planes[plane], first * HUD_ROWS,
        );
      });
    }
    for (const { first, count } of runsOf(all)) {
      const ticks = Int32Array.from({ length: count }, (_, k) => spotTick(history, first + k, look.NO_SPOT));
      this.bind(this.spots, FIELD_PLANES.length);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, first, 0, count, 1, gl.RED_INTEGER, gl.INT, ticks);
    }
  }

  draw(frame: FieldFrame): void {
    const { gl, canvas, torus } = this;
    const { widthPx, heightPx } = frame;
    this.lastFrame = frame;
    if (gl.isContextLost()) return;
    if (!this.linked) this.finish();
    if (canvas.width !== widthPx || canvas.height !== heightPx || torus.widthPx === 0) {
      canvas.width = widthPx;
      canvas.height = heightPx;
      this.bind(this.painted, FIELD_PLANES.length + 4);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, widthPx, heightPx, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
      torus.invalidate();
    }
    gl.viewport(0, 0, widthPx, heightPx);
    const rects = torus.update(frame);
    if (rects.length > 0) {
      gl.useProgram(this.program);
      this.passFrame(frame);
      gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
      gl.enable(gl.SCISSOR_TEST);
      for (const { x0, x1, y0, y1 } of rects) {
        gl.scissor(x0, y0, x1 - x0, y1 - y0);
        gl.drawArrays(gl.TRIANGLES, 0, 3);
      }
      gl.disable(gl.SCISSOR_TEST);
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    }
    gl.useProgram(this.unroll);
    gl.uniform2i(this.uniform('size_px', this.unroll), widthPx, heightPx);
    gl.uniform2i(this.uniform('corner', this.unroll), wrap(frame.leftPx, widthPx), wrap(frame.topPx, heightPx));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Strips and opacities of a frame to the shader. */
  private passFrame({ opacity, warm }: FieldFrame): void {
    const { gl } = this;
    const strip = (texture: WebGLTexture, unit: number, data: Int32Array): void => {
      this.bind(texture, unit);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32I, data.length / 4, 1, 0, gl.RGBA_INTEGER, gl.INT, data);
    };
    strip(this.columns, FIELD_PLANES.length + 1, this.torus.columns);
    strip(this.rows, FIELD_PLANES.length + 2, this.torus.rows);
    gl.uniform1f(this.uniform('op_grid'), opacity.grid);
    gl.uniform1f(this.uniform('op_gamma'), opacity.gamma);
    gl.uniform1f(this.uniform('op_gamma_bands'), opacity.gammaBands);
    gl.uniform1f(this.uniform('op_walls'), opacity.walls);
    gl.uniform1f(this.uniform('op_fog'), opacity.fog);
    gl.uniform1f(this.uniform('op_erosion'), opacity.erosion);
    gl.uniform1f(this.uniform('op_holes'), opacity.holes);
    gl.uniform3f(this.uniform('warm'), ...warm);
  }

  readPixels(): Uint8ClampedArray {
    const { gl } = this;
    if (!this.lastFrame) return new Uint8ClampedArray(0);
    this.draw(this.lastFrame); // the drawing buffer is not kept between frames
    const { widthPx, heightPx } = this.lastFrame;
    const flipped = new Uint8Array(widthPx * heightPx * 4);
    gl.readPixels(0, 0, widthPx, heightPx, gl.RGBA, gl.UNSIGNED_BYTE, flipped);
    const out = new Uint8ClampedArray(flipped.length);
    for (let y = 0; y < heightPx; y++) {
      const from = (heightPx - 1 - y) * widthPx * 4;
      out.set(flipped.subarray(from, from + widthPx * 4), y * widthPx * 4);
    }
    return out;
  }

  readTexels(plane: FieldPlane, slot: number): Uint8Array {
    const { gl } = this;
    const frame = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.planes.get(plane)!, 0);
    const rgba = new Uint8Array(HUD_ROWS * 4);
    gl.readPixels(0, slot, HUD_ROWS, 1, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.deleteFramebuffer(frame);
    return Uint8Array.from({ length: HUD_ROWS }, (_, i) => rgba[4 * i]!);
  }
}

/** Neighbouring slots as runs, so that a half hour is one upload per plane. */
export function runsOf(slots: readonly number[]): { first: number; count: number }[] {
  const runs: { first: number; count: number }[] = [];
  for (const slot of [...new Set(slots)].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && slot === last.first + last.count) last.count++;
    else runs.push({ first: slot, count: 1 });
  }
  return runs;
}

/** Name of the device when it is no GPU: not every browser counts that as a performance caveat. Null for a GPU, and where nobody says. */
function softwareDevice(gl: WebGL2RenderingContext): string | null {
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  const device = String(gl.getParameter(info === null ? gl.RENDERER : info.UNMASKED_RENDERER_WEBGL));
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(device) ? device : null;
}

/** Compiles and links without waiting; `demandLinked` asks how it went. */
function startProgram(gl: WebGL2RenderingContext, vertex: string, fragment: string): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
    const shader = gl.createShader(type)!;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return program;
}

function demandLinked(gl: WebGL2RenderingContext, program: WebGLProgram): void {
  if (gl.getProgramParameter(program, gl.LINK_STATUS)) return;
  for (const shader of gl.getAttachedShaders(program) ?? []) {
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) {
      throw new Error(`the picture's shader does not compile: ${gl.getShaderInfoLog(shader)}`);
    }
  }
  throw new Error(`the picture's shader does not link: ${gl.getProgramInfoLog(program)}`);
}
