import { randomUUID } from 'node:crypto';
import {
  type LaneKey,
  laneKeyOf,
  operationId,
  type Owner,
  type ReplicaId,
  serviceName,
  type ServiceName,
} from '../../src/domain/ids.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import type { KeptReplies } from '../../src/engine/writes/repeats.ts';
import type { BaselineStore } from '../../src/engine/ports/journal-facts.ts';
import type { CoverageStore, Intent, Journal, WriteRef } from '../../src/engine/ports/ports.ts';
import type { ReplicaIdentity, ReplicaStore } from '../../src/engine/ports/replica-ports.ts';
import type { RestoredStore } from '../../src/engine/ports/restored-ports.ts';
import type { ReverseLedger, ReverseProofs, ReverseSends } from '../../src/engine/ports/reverse-ports.ts';
import type { FlipBook, FlipShareStore, FlipStore } from '../../src/engine/ports/flip-ports.ts';
import type { ServiceWritesStore } from '../../src/engine/ports/service-writes-ports.ts';
import type { WayBackStore } from '../../src/engine/ports/way-back-ports.ts';
import type { SpillJournal } from '../../src/engine/ports/spill-ports.ts';

/** What a newly started process has of the database. */
export interface Opened {
  readonly identity: ReplicaIdentity;
  readonly journal: Journal;
  readonly kept: KeptReplies;
  readonly coverage: CoverageStore;
  readonly replicas: ReplicaStore;
  readonly spills: SpillJournal;
  readonly proofs: ReverseProofs;
  readonly sends: ReverseSends;
  readonly ledger: Pick<ReverseLedger, 'decide'>;
  readonly wayBack: WayBackStore;
  readonly restored: RestoredStore;
  readonly flips: FlipStore;
  readonly shares: FlipShareStore;
  readonly book: FlipBook;
  readonly serviceWrites: ServiceWritesStore;
  readonly baselines: Pick<BaselineStore, 'of'>;
}

/** A database with the journal's tables; opened again it shows what is durable. */
export interface JournalUnderTest {
  /** A process of its own, or one more journal of a process that runs: it knows nothing of what the other was told. */
  open(identity?: ReplicaIdentity, versions?: Readonly<Record<string, string>>): Opened;
  /** Makes the orchestrator the lane's primary, as a flip does. */
  flip(lane: LaneKey): Promise<void>;
  /** A registered replica was not heard of for so long. */
  silence(replica: ReplicaId, ms: number): Promise<void>;
}

export type Begin = () => Opened & { readonly lane: Lane };

let made = 0;

/** A lane of a service of its own, which nothing of other tests concerns. */
export class Lane {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly key: LaneKey;
  readonly #journal: Journal;

  constructor(journal: Journal, service = serviceName(`contract-${++made}`), owner = 'ann') {
    this.#journal = journal;
    this.service = service;
    this.owner = owner as Owner;
    this.key = laneKeyOf(service, this.owner);
  }

  /** Another lane of the service. */
  of(owner: string): Lane {
    return new Lane(this.#journal, this.service, owner);
  }

  /** The same lane in the eyes of another replica. */
  seenBy(journal: Journal): Lane {
    return new Lane(journal, this.service, this.owner);
  }

  intent(acceptedAtMs = 1_700_000_000_000): Intent {
    const { key, owner, service } = this;
    const id = operationId(randomUUID());
    return {
      operationId: id,
      service,
      owner,
      lane: key,
      action: 'add',
      request: '{}',
      acceptedAtMs,
    };
  }

  async write(outcome?: Outcome, acceptedAtMs?: number): Promise<WriteRef> {
    const state = await this.#journal.append(this.intent(acceptedAtMs));
    if (state === undefined) throw new Error('another replica was busy with the lane');
    const ref = { laneId: state.id, lane: this.key, sequence: state.sequence };
    if (outcome !== undefined) await this.#journal.recordOutcome({ ref, outcome });
    return ref;
  }

  async pending(after = 0): Promise<number[]> {
    return (await this.#journal.pending(this.key, after, { writes: 100, bytes: 1_000_000 })).map(
      ({ sequence }) => sequence,
    );
  }

  async undelivered(through = 100): Promise<number[]> {
    return (await this.#journal.undelivered(this.key, through)).map(({ sequence }) => sequence);
  }

  async state() {
    return (await this.#journal.lanes([this.key])).get(this.key);
  }

  async copied(generation: number, sequence: number, coverage = 1): Promise<unknown> {
    return this.#journal.finishCopy(this.key, { generation, sequence, coverage, exceptions: [] });
  }
}
