import type { LaneState } from '../../domain/lane.ts';
import type { Intent, Settlement } from '../../migration/ports.ts';
import { sqlstateOf } from '../database.ts';
import { bigints, instants, texts, uuids } from '../sessions/columns.ts';
import { COMMIT, COMMIT_BESIDE_KNOWN } from './commit-sql.ts';
import { GroupCommit } from './group-commit.ts';
import { placedStateOf, type PlaceRow } from './journal-rows.ts';
import type { JournalSettings } from './journal-settings.ts';

type Entry = { readonly intent: Intent } | { readonly settlement: Settlement };

/** An outcome waits this long for an intent to share its commit with. Until then a crash would make its lane dirty, no more. */
const OUTCOME_LINGER_MS = 5;
const UNIQUE_VIOLATION = '23505';

/** The group commit that agents wait for: new intents, and with them the outcomes of past ones. */
export class IntentCommits {
  readonly #settings: JournalSettings;
  readonly #commits: GroupCommit<Entry, LaneState | undefined>;

  constructor(settings: JournalSettings) {
    this.#settings = settings;
    this.#commits = new GroupCommit<Entry, LaneState | undefined>({
      flush: (batch) => this.#flush(batch),
      keyOf: (entry) => ('intent' in entry ? entry.intent.lane : undefined),
      isUrgent: (entry) => 'intent' in entry,
      sizeOf: (entry) => ('intent' in entry ? entry.intent.request.length : 0),
      lingerMs: OUTCOME_LINGER_MS,
    });
  }

  /** Undefined where another replica is busy with the lane. */
  append(intent: Intent): Promise<LaneState | undefined> {
    return this.#commits.add({ intent });
  }

  async settle(settlement: Settlement): Promise<void> {
    await this.#commits.add({ settlement });
  }

  drain(): Promise<void> {
    return this.#commits.drain();
  }

  async #flush(batch: readonly Entry[]): Promise<(LaneState | undefined)[]> {
    const intents: Intent[] = [];
    const settlements: Settlement[] = [];
    for (const entry of batch)
      if ('intent' in entry) intents.push(entry.intent);
      else settlements.push(entry.settlement);
    const { replica, seal } = this.#settings;
    const { id } = replica;
    const rows = await this.#commit([
      texts(intents.map(({ lane }) => lane)),
      texts(intents.map(({ service }) => service)),
      texts(intents.map(({ owner }) => owner)),
      uuids(intents.map(({ operationId }) => operationId)),
      texts(intents.map(({ action }) => action)),
      texts(intents.map(({ request }) => seal.seal(request))),
      instants(intents.map(({ acceptedAtMs }) => acceptedAtMs)),
      id,
      bigints(settlements.map(({ ref }) => ref.laneId)),
      bigints(settlements.map(({ ref }) => ref.sequence)),
      texts(settlements.map(({ outcome }) => outcome)),
    ]);
    // It may have been given up, and be another, since it asked.
    const isSame = replica.id === id;
    const places = new Map(rows.map((row) => [row.key, row]));
    return batch.map((entry) => {
      const row = 'intent' in entry ? places.get(entry.intent.lane) : undefined;
      return row && placedStateOf(row, isSame);
    });
  }

  async #commit(parameters: readonly unknown[]): Promise<PlaceRow[]> {
    const { database } = this.#settings;
    try {
      return await database.query<PlaceRow>(COMMIT, parameters);
    } catch (error) {
      // Nothing of it was done. Whoever took this replica's lanes over has written outcomes down, or a commit that seemed to fail has.
      if (sqlstateOf(error) !== UNIQUE_VIOLATION) throw error;
      return database.query<PlaceRow>(COMMIT_BESIDE_KNOWN, parameters);
    }
  }
}
