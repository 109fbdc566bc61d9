import type { RunControl } from './run-work.ts';

const LOOK_AGAIN_MS = 20;

/** Works on many, as many together as the control allows at each moment. Ends early where it is stopped: false then. */
export async function inParallel<Item>(
  items: readonly Item[],
  control: Pick<RunControl, 'isStopped' | 'width'>,
  work: (item: Item) => Promise<void>,
): Promise<boolean> {
  const underWay = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (const item of items) {
    while (underWay.size >= Math.max(1, control.width())) await Promise.race([...underWay, pause()]);
    if (control.isStopped() || failures.length > 0) break;
    const one = work(item)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => underWay.delete(one));
    underWay.add(one);
  }
  await Promise.all(underWay);
  if (failures.length > 0) throw failures[0];
  return !control.isStopped();
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, LOOK_AGAIN_MS);
  });
}
