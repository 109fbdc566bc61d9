import type { Verdicts } from './compare/verdicts.ts';
import type { Engine } from './engine.ts';
import type { LaneSamples } from './shadow/lane-samples.ts';
import type { Runs } from './create-runs.ts';
import type { RepeatedReads } from './shadow/repeated-reads.ts';
import type { ShadowReads } from './shadow/shadow-reads.ts';

/** Most that a stop waits for unjournaled writes of unknown outcome: a deadline and the probes after it. */
const UNJOURNALED_MS = 10_000;

/** Parts that are started before requests come, and stopped after they have ended. */
export interface Living {
  readonly engine: Engine;
  readonly verdicts: Verdicts;
  readonly shadows: ShadowReads;
  /** Absent: no lane is compared as a whole because of a read. */
  readonly samples: LaneSamples | undefined;
  /** Absent: no read is repeated. */
  readonly repeats: RepeatedReads | undefined;
  readonly runs: Runs | undefined;
}

/** Takes over what the last process left, then keeps coverage. @throws StorageError */
export async function startEngine({ engine, verdicts, repeats, runs }: Living): Promise<void> {
  const hasPredecessor = await engine.membership.join();
  await engine.spilling?.spill.prepare();
  await engine.takeOver.recover();
  await verdicts.start();
  await engine.keeper.start(hasPredecessor);
  engine.foreign.start();
  engine.deliverer.wake();
  runs?.worker.start();
  repeats?.start();
  engine.spilling?.spill.answered();
}

export async function stopEngine({
  engine,
  verdicts,
  shadows,
  samples,
  repeats,
  runs,
}: Living): Promise<void> {
  // A page that is being worked on waits for copies, so it ends after these.
  const working = runs?.worker.stop();
  await engine.keeper.stop();
  // A successor that finds the lanes quiet copies them at once.
  await engine.unjournaled.ended(UNJOURNALED_MS);
  await engine.foreign.stop();
  engine.settler.stop();
  await repeats?.stop();
  await shadows.stop();
  await samples?.stop();
  await verdicts.stop();
  await engine.copies.stop();
  await working;
  await engine.deliverer.stop();
  await engine.settlements.stop();
  await engine.membership.leave().catch(() => undefined);
}
