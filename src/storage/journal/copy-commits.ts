import type { LaneKey } from '../../domain/ids.ts';
import type { FinishedCopy } from '../../engine/ports/journal-facts.ts';
import { packBaseline } from '../baseline-rows.ts';
import type { Database } from '../database.ts';
import { BEGIN_COPIES, FINISH_COPIES } from './copy-sql.ts';
import { GroupCommit } from './group-commit.ts';
import type { LaneRow } from './journal-rows.ts';

interface Begin {
  readonly lane: LaneKey;
  /** The new generation must be above this one. */
  readonly above: number;
}

interface Finish {
  readonly lane: LaneKey;
  readonly facts: FinishedCopy;
}

/** Starts and ends of copies. Many lanes share one commit, because a backfill mostly waits for these commits. */
export class CopyCommits {
  readonly #database: Database;
  readonly #replica: () => string;
  readonly #begins: GroupCommit<Begin, LaneRow | undefined>;
  readonly #ends: GroupCommit<Finish, LaneRow | undefined>;

  constructor(database: Database, replica: () => string) {
    this.#database = database;
    this.#replica = replica;
    const settings = { isUrgent: () => true, lingerMs: 0 };
    this.#begins = new GroupCommit<Begin, LaneRow | undefined>({
      ...settings,
      flush: (begun) => this.#begin(begun),
      keyOf: ({ lane }) => lane,
    });
    this.#ends = new GroupCommit<Finish, LaneRow | undefined>({
      ...settings,
      flush: (finished) => this.#finish(finished),
      keyOf: ({ lane }) => lane,
    });
  }

  /** Undefined if another replica is the lane's home. @throws StorageError */
  begin(asked: Begin): Promise<LaneRow | undefined> {
    return this.#begins.add(asked);
  }

  /** Undefined if another copy of the lane has started since. @throws StorageError */
  async finish(lane: LaneKey, facts: FinishedCopy): Promise<LaneRow | undefined> {
    if (facts.exceptions.length === 0) return this.#ends.add({ lane, facts });
    // The orchestrator's message about an item may be a text that cannot be stored. The copies of other lanes must not fail because of it.
    return (await this.#finish([{ lane, facts }]))[0];
  }

  async #begin(begun: readonly Begin[]): Promise<(LaneRow | undefined)[]> {
    const lanes = begun.map(({ lane }) => lane);
    const slashes = lanes.map((lane) => lane.indexOf('/'));
    const rows = await this.#database.query<LaneRow>(BEGIN_COPIES, [
      lanes,
      lanes.map((lane, index) => lane.slice(0, slashes[index])),
      lanes.map((lane, index) => lane.slice((slashes[index] ?? 0) + 1)),
      this.#replica(),
      begun.map(({ above }) => above),
    ]);
    return inOrder(rows, lanes);
  }

  async #finish(finished: readonly Finish[]): Promise<(LaneRow | undefined)[]> {
    const exceptions = finished.flatMap(({ lane, facts }) =>
      facts.exceptions.map((exception) => ({ lane, ...exception })),
    );
    const lanes = finished.map(({ lane }) => lane);
    const baselines = finished.map(({ facts: { baseline } }) => baseline && packBaseline(baseline));
    const rows = await this.#database.query<LaneRow>(FINISH_COPIES, [
      lanes,
      finished.map(({ facts }) => facts.generation),
      finished.map(({ facts }) => facts.sequence),
      finished.map(({ facts }) => facts.coverage),
      finished.map(({ facts }) => facts.closes ?? false),
      ...(['items', 'digest', 'entries'] as const).map((name) =>
        baselines.map((baseline) => baseline?.[name] ?? null),
      ),
      ...(['lane', 'item', 'action', 'code', 'reason'] as const).map((name) =>
        exceptions.map((exception) => exception[name]),
      ),
      finished.map(({ facts }) => facts.isRepair !== true),
    ]);
    return inOrder(rows, lanes);
  }
}

function inOrder(rows: readonly LaneRow[], lanes: readonly LaneKey[]): (LaneRow | undefined)[] {
  const found = new Map<string, LaneRow>(rows.map((row) => [row.key, row]));
  return lanes.map((lane) => found.get(lane));
}
