import type { LaneState } from '../../domain/lane.ts';
import type { Intent, Settlement } from '../../engine/ports/ports.ts';
import { sqlstateOf } from '../database.ts';
import { bigints, instants, texts, uuids } from '../sessions/columns.ts';
import { COMMIT, COMMIT_BESIDE_KNOWN, COMMIT_OWN } from './commit-sql.ts';
import { GroupCommit } from './group-commit.ts';
import { placedStateOf, type PlaceRow } from './journal-rows.ts';
import type { JournalSettings } from './journal-settings.ts';

type Entry = { readonly intent: Intent } | { readonly settlement: Settlement };

/** An outcome waits this long for an intent whose commit it can share. A crash in that time only makes its lane dirty. */
const OUTCOME_LINGER_MS = 5;
const UNIQUE_VIOLATION = '23505';
/** After this many consecutive commits without a lane that names another replica, the next commits use the faster statement. */
const ALONE_AFTER = 100;
/** The lane's row names another replica, which may or may not use it now. */
const NOT_OWN = 'not_own';

type Place = LaneState | undefined | typeof NOT_OWN;

/** The group commit that agents wait for: new intents, together with the outcomes of past ones. */
export class IntentCommits {
  readonly #settings: JournalSettings;
  readonly #commits: GroupCommit<Entry, Place>;
  /** Number of commits since a lane last named another replica. */
  #alone = 0;

  constructor(settings: JournalSettings) {
    this.#settings = settings;
    this.#commits = new GroupCommit<Entry, Place>({
      flush: (batch) => this.#flush(batch),
      keyOf: (entry) => ('intent' in entry ? entry.intent.lane : undefined),
      isUrgent: (entry) => 'intent' in entry,
      sizeOf: (entry) => ('intent' in entry ? entry.intent.request.length : 0),
      lingerMs: OUTCOME_LINGER_MS,
    });
  }

  /** Undefined if another replica uses the lane. */
  async append(intent: Intent): Promise<LaneState | undefined> {
    for (;;) {
      const place = await this.#commits.add({ intent });
      if (place !== NOT_OWN) return place;
    }
  }

  async settle(settlement: Settlement): Promise<void> {
    await this.#commits.add({ settlement });
  }

  drain(): Promise<void> {
    return this.#commits.drain();
  }

  async #flush(batch: readonly Entry[]): Promise<Place[]> {
    const intents: Intent[] = [];
    const settlements: Settlement[] = [];
    for (const entry of batch)
      if ('intent' in entry) intents.push(entry.intent);
      else settlements.push(entry.settlement);
    const { replica, seal } = this.#settings;
    const { id } = replica;
    const isAlone = this.#alone >= ALONE_AFTER;
    const rows = await this.#commit(isAlone ? COMMIT_OWN : COMMIT, [
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
      bigints(intents.map(({ coverage = 0 }) => coverage)),
    ]);
    // This replica may have lost its lease and got a new id since the call.
    const isSame = replica.id === id;
    const places = new Map(rows.map((row) => [row.key, placedStateOf(row, isSame)]));
    const areOwn = rows.length === intents.length && rows.every(({ unusual }) => unusual?.isHome !== false);
    this.#alone = areOwn ? this.#alone + 1 : 0;
    const left = isAlone ? NOT_OWN : undefined;
    return batch.map((entry) => ('intent' in entry ? (places.get(entry.intent.lane) ?? left) : undefined));
  }

  async #commit(statement: string, parameters: readonly unknown[]): Promise<PlaceRow[]> {
    const { database } = this.#settings;
    try {
      return await database.query<PlaceRow>(statement, parameters);
    } catch (error) {
      // The commit had no effect. A replica that took over these lanes, or a commit that seemed to fail, has already written outcomes.
      if (sqlstateOf(error) !== UNIQUE_VIOLATION) throw error;
      return database.query<PlaceRow>(COMMIT_BESIDE_KNOWN, parameters);
    }
  }
}
