// The field, one pixel at a time. Its twin is paintField in field_canvas.ts: same order, same sums.
// The defines stand before this text: every constant of look.ts, HISTORY_WINDOWS, HUD_ROWS, SPOT_ROW, sides.
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;

uniform sampler2D wall_core_u8;
uniform sampler2D wall_fog_u8;
uniform sampler2D vacuum_u8;
uniform sampler2D gex_abs_u8;
uniform sampler2D gex_imbalance_u8;
uniform sampler2D side_u8;
uniform sampler2D hole_u8;
uniform isampler2D spots;    // HISTORY_WINDOWS x 1: spot tick of a slot
uniform isampler2D columns;  // width x 1, in the order of the torus
uniform isampler2D rows;     // height x 1
uniform sampler2D lut;       // 256 x LUT_ROWS
uniform float op_grid, op_gamma, op_gamma_bands, op_walls, op_fog, op_erosion, op_holes;
uniform vec3 warm;

out vec4 pixel;

int u8(sampler2D plane, ivec2 at) { return int(texelFetch(plane, at, 0).r * 255.0 + 0.5); }

int hole_at(int slot, int tick) {
  int row = tick - texelFetch(spots, ivec2(slot, 0), 0).r + SPOT_ROW;
  return row < 0 || row >= HUD_ROWS ? 0 : u8(hole_u8, ivec2(row, slot));
}

void mix_lut(inout vec3 color, int row, int value, float share) {
  vec4 entry = texelFetch(lut, ivec2(value, row), 0);
  color += (entry.rgb * 255.0 - color) * (entry.a * share);
}

float luma(vec3 color) { return dot(color, LUMA); }

void main() {
  ivec4 col = texelFetch(columns, ivec2(int(gl_FragCoord.x), 0), 0);
  ivec4 line = texelFetch(rows, ivec2(int(gl_FragCoord.y), 0), 0);
  int slot0 = col.r, windows = col.g, col_bits = col.b, off_x = col.a & 0xffff, cell_w = col.a >> 16;
  int tick0 = line.r, ticks = line.g, row_bits = line.b, off_y = line.a & 0xffff, cell_h = line.a >> 16;
  int col_phase = (col_bits >> COL_PHASE_SHIFT) & 15, row_phase = (row_bits >> ROW_PHASE_SHIFT) & 15;
  bool no_data = (col_bits & COL_NO_DATA) != 0;
  bool hatched = ((col_phase + row_phase) & 7) < 2;

  vec3 color = no_data ? NO_DATA : BACKGROUND;
  float down = (row_bits & ROW_FIVE_POINTS) != 0 ? GRID_FIVE : (row_bits & ROW_POINT) != 0 ? GRID_TICK : 0.0;
  float across = (col_bits & COL_LANDMARK) != 0 ? GRID_LANDMARK
    : (col_bits & COL_FIVE_MINUTES) != 0 ? GRID_FIVE_MINUTES : (col_bits & COL_MINUTE) != 0 ? GRID_MINUTE : 0.0;
  color += (GRID - color) * (max(down, across) * op_grid);

  if (no_data) {
    if (hatched) color += (HATCH - color) * HATCH_NO_DATA;
  } else if (slot0 >= 0) {
    int core = 0, fog = 0, side = 0, fog_side = 0, vacuum = 0, gex = 0, imbalance = GEX_NEUTRAL, hole = 0, cells = 0;
    for (int k = 0; k < windows; k++) {
      int slot = (slot0 + k) % HISTORY_WINDOWS;
      int row0 = tick0 - texelFetch(spots, ivec2(slot, 0), 0).r + SPOT_ROW;
      for (int t = 0; t < ticks; t++) {
        int row = row0 + t;
        if (row < 0 || row >= HUD_ROWS) continue;
        ivec2 at = ivec2(row, slot);
        cells++;
        int side_here = u8(side_u8, at);
        int value = u8(wall_core_u8, at);
        if (value > core) { core = value; side = side_here; }
        value = u8(wall_fog_u8, at);
        if (value > fog) { fog = value; fog_side = side_here; }
        vacuum += u8(vacuum_u8, at);
        value = u8(gex_abs_u8, at);
        if (value > gex) { gex = value; imbalance = u8(gex_imbalance_u8, at); }
        hole = max(hole, u8(hole_u8, at));
      }
    }
    if (gex > 0) {
      int row = imbalance >= GEX_NEUTRAL ? LUT_CALL : LUT_PUT;
      if (op_gamma_bands > 0.0) mix_lut(color, row, gex, op_gamma_bands * GAMMA_BAND);
      if ((row_bits & ROW_CENTRE) != 0 && (col_phase & 7) < 4) mix_lut(color, row, gex, op_gamma);
    }
    float gap = cell_h >= GAP_FROM && off_y == cell_h - 1 ? GAP_OPACITY : 1.0;
    if (fog > 0) {
      float weave = ((col_phase + row_phase) & 1) != 0 ? FOG_WEAVE : 1.0;
      mix_lut(color, fog_side == SIDE_ASK ? LUT_ASK_FOG : LUT_BID_FOG, fog, op_fog * weave * gap);
    }
    if (core > 0) mix_lut(color, side == SIDE_ASK ? LUT_ASK : LUT_BID, core, op_walls * gap);
    if (vacuum > 0 && op_erosion > 0.0) {
      float strength = float(vacuum) / float(255 * cells);
      int height = cell_h < 3 ? cell_h : int(ceil(float(cell_h) * NOTCH_SHARE));
      bool ask = (core > 0 ? side : fog_side) == SIDE_ASK;
      if (ask ? off_y >= cell_h - height : off_y < height) {
        float share = pow(strength, NOTCH_POWER) * op_erosion;
        color += (min(vec3(255.0), warm * (luma(color) / luma(warm))) - color) * share;
      }
    }
    if (hole > 0 && op_holes > 0.0) {
      float share = HOLE_SMALL;
      if (ticks == 1 && cell_h >= 3) {
        bool edge = (off_y == 0 && hole_at(slot0, tick0 + 1) == 0) || (off_y == cell_h - 1 && hole_at(slot0, tick0 - 1) == 0)
          || (windows == 1 && off_x == 0 && hole_at((slot0 + HISTORY_WINDOWS - 1) % HISTORY_WINDOWS, tick0) == 0)
          || (windows == 1 && off_x == cell_w - 1 && hole_at((slot0 + 1) % HISTORY_WINDOWS, tick0) == 0);
        share = edge ? HOLE_LINE : 0.0;
      }
      color += (HOLE - color) * (share * op_holes);
    }
    if ((col_bits & COL_INVALID) != 0) {
      color += (vec3(luma(color) * GREY_LIGHT) - color) * GREY_MIX;
      if (hatched) color += (HATCH - color) * HATCH_MIX;
    }
  }
  pixel = vec4(color / 255.0, 1.0);
}
