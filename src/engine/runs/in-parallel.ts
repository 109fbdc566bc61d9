import type { RunControl } from './run-work.ts';

const LOOK_AGAIN_MS = 20;

/** Works on many entries, as many at a time as the control allows at each moment. Returns false if it was stopped. */
export async function inParallel<Item>(
  items: readonly Item[],
  control: Pick<RunControl, 'isStopped' | 'width'>,
  work: (item: Item) => Promise<void>,
): Promise<boolean> {
  const failures: unknown[] = [];
  let underWay = 0;
  let wake = (): void => undefined;
  const ended = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  const begin = async (item: Item): Promise<void> => {
    underWay += 1;
    try {
      await work(item);
    } catch (error) {
      failures.push(error);
    }
    underWay -= 1;
    wake();
  };
  for (const item of items) {
    while (underWay >= Math.max(1, control.width())) await Promise.race([ended(), pause()]);
    if (control.isStopped() || failures.length > 0) break;
    void begin(item);
  }
  while (underWay > 0) await ended();
  if (failures.length > 0) throw failures[0];
  return !control.isStopped();
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, LOOK_AGAIN_MS);
  });
}
