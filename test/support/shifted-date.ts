/** Replaces this process's `Date` by one whose present can be moved. Timers and the monotonic clock stay right. */
export function shiftDates(): { by(errorMs: number): void } {
  let errorMs = 0;
  const RightDate = Date;

  class ShiftedDate extends RightDate {
    constructor(...given: readonly [] | ConstructorParameters<DateConstructor>) {
      if (given.length === 0) super(ShiftedDate.now());
      else super(...(given as ConstructorParameters<DateConstructor>));
    }

    static override now(): number {
      return RightDate.now() + errorMs;
    }
  }

  globalThis.Date = ShiftedDate as DateConstructor;
  return {
    by: (ms) => {
      errorMs = ms;
    },
  };
}
