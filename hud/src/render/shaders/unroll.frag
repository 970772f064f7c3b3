#version 300 es
// Shows the painted torus from the corner where the view begins.
precision highp float;
precision highp int;
precision highp sampler2D;

uniform sampler2D painted;
uniform ivec2 size_px;
uniform ivec2 corner;

out vec4 pixel;

void main() {
  ivec2 at = ivec2(int(gl_FragCoord.x), size_px.y - 1 - int(gl_FragCoord.y)) + corner;
  pixel = texelFetch(painted, ivec2(at.x % size_px.x, at.y % size_px.y), 0);
}
