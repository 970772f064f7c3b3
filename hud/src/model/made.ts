/** What need not be made again: whoever draws or computes asks whether anything it depends on differs. */

/** Remembers what something was made from. */
export class Made {
  private from: readonly unknown[] = [];

  /** Whether it was made from these parts; remembers them. NaN equals NaN. */
  isFrom(...parts: readonly unknown[]): boolean {
    const { from } = this;
    this.from = parts;
    if (parts.length !== from.length) return false;
    for (let i = 0; i < parts.length; i++) if (!Object.is(parts[i], from[i])) return false;
    return true;
  }
}
