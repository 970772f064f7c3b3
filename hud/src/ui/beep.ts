/** Two short notes, made by the browser: no file, no request. */
let audio: AudioContext | null = null;

export function beep(): void {
  try {
    audio ??= new AudioContext();
  } catch {
    // no sound device: the list still tells
    return;
  }
  void audio.resume();
  const start = audio.currentTime + 0.01;
  for (const [at, hertz] of [[0, 740], [0.14, 988]] as const) {
    const note = audio.createOscillator();
    const volume = audio.createGain();
    note.frequency.value = hertz;
    volume.gain.setValueAtTime(0, start + at);
    volume.gain.linearRampToValueAtTime(0.12, start + at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.001, start + at + 0.13);
    note.connect(volume).connect(audio.destination);
    note.start(start + at);
    note.stop(start + at + 0.15);
  }
}
