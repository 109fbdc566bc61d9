import { ConnectionError } from '../../src/domain/errors.ts';
import { eventually } from './eventually.ts';

/** The outcome of a call by one of our clients. While no connection stands, it refuses calls after 200 ms: that one is made again. */
export async function reached<T>(call: () => Promise<T>): Promise<T> {
  const { outcome } = await eventually('the peer is reached', async () => {
    const [outcome] = await Promise.allSettled([call()]);
    return !isUnreached(outcome) && { outcome };
  });
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

function isUnreached(outcome: PromiseSettledResult<unknown>): boolean {
  return (
    outcome.status === 'rejected' &&
    outcome.reason instanceof ConnectionError &&
    outcome.reason.effect === 'not_applied'
  );
}
