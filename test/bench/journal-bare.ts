import { randomUUID } from 'node:crypto';
import pg from 'pg';

// The baseline: the same rows in the same tables, a group commit with natural batching and nothing else. It knows no replicas, no
// claims and no lane that is held; it decides nothing.

const COMMIT = `
with asked as (
  select * from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[])
    as t(key, service, owner, operation_id, action, request, accepted_at)
), settled as (
  insert into outcomes (lane_id, sequence, outcome) select * from unnest($9::bigint[], $10::bigint[], $11::text[])
), locked as (
  insert into lanes (key, service, owner, sequence) select key, service, owner, 1 from asked order by key
  on conflict (key) do update set sequence = lanes.sequence + 1
  returning id, key, sequence
), stored as (
  insert into writes (lane_id, sequence, operation_id, action, request, accepted_at, replica)
  select locked.id, locked.sequence, operation_id, action, request, accepted_at, $8::uuid
  from locked join asked using (key)
)
select * from locked`;

export interface BareIntent {
  readonly key: string;
  readonly service: string;
  readonly owner: string;
  readonly operationId: string;
  readonly action: string;
  readonly request: string;
}

export interface BarePlace {
  readonly id: number;
  readonly sequence: number;
}

interface Waiting {
  readonly intent: BareIntent;
  readonly resolve: (place: BarePlace) => void;
  readonly reject: (error: unknown) => void;
}

/** The bare loop, on a connection of its own. One write of a lane at a time. */
export class BareLoop {
  readonly #client: pg.Client;
  readonly #replica = randomUUID();
  #waiting: Waiting[] = [];
  #outcomes: BarePlace[] = [];
  #isFlushing = false;

  constructor(url: string) {
    this.#client = new pg.Client({ connectionString: url });
  }

  start(): Promise<unknown> {
    return this.#client.connect();
  }

  append(intent: BareIntent): Promise<BarePlace> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ intent, resolve, reject });
      void this.#flush();
    });
  }

  /** Joins the next commit. */
  settle(place: BarePlace): void {
    this.#outcomes.push(place);
  }

  async stop(): Promise<void> {
    while (this.#isFlushing) await new Promise((resolve) => setTimeout(resolve, 1));
    await this.#client.end();
  }

  async #flush(): Promise<void> {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0), this.#outcomes.splice(0));
    this.#isFlushing = false;
  }

  async #commit(batch: readonly Waiting[], outcomes: readonly BarePlace[]): Promise<void> {
    const intents = batch.map(({ intent }) => intent);
    const now = new Date().toISOString();
    try {
      const { rows } = await this.#client.query<{ id: string; key: string; sequence: string }>({
        name: 'bare',
        text: COMMIT,
        values: [
          intents.map(({ key }) => key),
          intents.map(({ service }) => service),
          intents.map(({ owner }) => owner),
          intents.map(({ operationId }) => operationId),
          intents.map(({ action }) => action),
          intents.map(({ request }) => request),
          intents.map(() => now),
          this.#replica,
          outcomes.map(({ id }) => id),
          outcomes.map(({ sequence }) => sequence),
          outcomes.map(() => 'applied'),
        ],
      });
      const places = new Map(
        rows.map(({ id, key, sequence }) => [key, { id: Number(id), sequence: Number(sequence) }]),
      );
      for (const { intent, resolve } of batch) resolve(places.get(intent.key) ?? { id: 0, sequence: 0 });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
