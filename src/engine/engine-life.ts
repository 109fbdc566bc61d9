import { messageOf, StorageError } from '../domain/errors.ts';
import type { Verdicts } from './compare/verdicts.ts';
import type { Engine } from './engine.ts';
import type { Flipper } from './flips/flipper.ts';
import type { EndKeeper } from './ends/end-keeper.ts';
import type { LaneSamples } from './shadow/lane-samples.ts';
import type { Runs } from './create-runs.ts';
import type { RepeatedReads } from './shadow/repeated-reads.ts';
import type { ShadowReads } from './shadow/shadow-reads.ts';
import type { Emit } from './ports/events.ts';
import type { Clock } from '../shared/clock.ts';
import { type Coverage, UNKNOWN_COVERAGE } from './ports/service-runtime.ts';
import type { Spill } from './spill/spill.ts';

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
  /** Absent: no lane is flipped. */
  readonly flipper: Flipper | undefined;
  /** Absent: every service is open. */
  readonly ends: EndKeeper | undefined;
}

/** Takes over what the last process left, then keeps coverage. @throws StorageError */
export async function startEngine({ engine, verdicts, repeats, runs, flipper, ends }: Living): Promise<void> {
  // Before anything is sent to a legacy that may be gone.
  await ends?.start();
  const hasPredecessor = await engine.membership.join();
  await engine.restored?.start();
  // From the preparation on, a process may start without the journal. It must know then which lanes may be flipped.
  await engine.shares?.learn();
  await engine.spilling?.spill.prepare();
  await engine.takeOver.recover();
  await verdicts.start();
  await engine.keeper.start(hasPredecessor);
  engine.foreign.start();
  engine.deliverer.wake();
  engine.wayBack?.start();
  engine.canary.start();
  runs?.worker.start();
  repeats?.start();
  flipper?.start();
  engine.spilling?.spill.answered();
}

export async function stopEngine({
  engine,
  verdicts,
  shadows,
  samples,
  repeats,
  runs,
  flipper,
  ends,
}: Living): Promise<void> {
  await flipper?.stop();
  // A page that is being worked on waits for copies, so it ends after these.
  const working = runs?.worker.stop();
  await engine.canary.stop();
  await ends?.stop();
  await engine.keeper.stop();
  // A successor that finds the lanes quiet copies them at once.
  await engine.unjournaled.ended(UNJOURNALED_MS);
  await engine.foreign.stop();
  await engine.restored?.stop();
  await engine.wayBack?.stop();
  engine.settler.stop();
  await repeats?.stop();
  await shadows.stop();
  await samples?.stop();
  await verdicts.stop();
  await engine.copies.stop();
  await working;
  await engine.deliverer.stop();
  engine.orchestratorPrimary.stop();
  await engine.outcomeRecorder.stop();
  engine.membership.stop();
  // A replica that cannot change its note stays registered until the others notice that it is gone.
  await (engine.shares?.leave() ?? Promise.resolve())
    .then(() => engine.membership.leave())
    .catch(() => undefined);
}

const RETRY_MS = 1_000;

interface StartingParts {
  /** Absent: nothing may be spilled, and the journal must answer. */
  readonly spill: Spill | undefined;
  readonly coverage: ReadonlyMap<string, Coverage>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** May be called again after a failure. @throws StorageError */
  begin(): Promise<void>;
}

/**
 * Starts the engine among the other replicas, and takes over what the last process left. If the journal is away and an earlier
 * process has used it, agents are still served. Every write is spilled and legacy answers every read, until the journal
 * answers.
 */
export class Starting {
  readonly #parts: StartingParts;
  readonly #stopping = new AbortController();
  #trying: Promise<void> | undefined;

  constructor(parts: StartingParts) {
    this.#parts = parts;
  }

  /** @throws StorageError if the journal is away and nothing may be spilled */
  async start(): Promise<void> {
    const { spill } = this.#parts;
    spill?.inherit();
    try {
      await this.#parts.begin();
    } catch (error) {
      if (spill?.mayStartAway !== true || !(error instanceof StorageError)) throw error;
      this.#parts.emit('journal:failed', { reason: error.message });
      this.#assumeCoverage();
      spill.startAway();
      this.#trying = this.#tryAgain();
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#trying;
  }

  /** It is unknown whether a service is covered. Spilling writes of an uncovered one does no harm. */
  #assumeCoverage(): void {
    for (const state of this.#parts.coverage.values()) state.number = UNKNOWN_COVERAGE;
  }

  async #tryAgain(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#parts.clock.sleep(RETRY_MS, signal);
      if (signal.aborted) return;
      try {
        return await this.#parts.begin();
      } catch (error) {
        this.#parts.emit('journal:failed', { reason: messageOf(error) });
      }
    }
  }
}
