/** Imported before a program of ours: the clock on its wall jumps by an hour with every SIGUSR2, forth, back behind the right time, and right again. */
const HOUR_MS = 3_600_000;
const ERRORS_MS = [HOUR_MS, -HOUR_MS, 0];

let errorMs = 0;
const RightDate = Date;

class JumpingDate extends RightDate {
  constructor(...given: readonly [] | ConstructorParameters<DateConstructor>) {
    if (given.length === 0) super(JumpingDate.now());
    else super(...(given as ConstructorParameters<DateConstructor>));
  }

  static override now(): number {
    return RightDate.now() + errorMs;
  }
}

globalThis.Date = JumpingDate as DateConstructor;

let jumps = 0;
process.on('SIGUSR2', () => {
  errorMs = ERRORS_MS[jumps % ERRORS_MS.length] ?? 0;
  jumps += 1;
});
