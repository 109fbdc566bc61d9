import type { LaneKey, Owner, ServiceName } from '../../domain/ids.ts';
import type { WritesState } from '../../domain/stage.ts';
import type { ByPerson } from './decision-ports.ts';

/** How far the writes of a service have left legacy: ../README.md, "Moving the writes of a lane", T13 and T14. */
export interface ServiceWrites extends ByPerson {
  readonly service: ServiceName;
  readonly state: WritesState;
  /** When the service became read-only. */
  readonly sinceMs: number;
  /** When legacy had its last write, and nothing sent before could still arrive. Absent: not yet. */
  readonly settledAtMs?: number;
  /** Since when legacy is known to be unchanged. Absent: a verified backup is missing. */
  readonly clockBeganAtMs?: number;
  /** How often a foreign writer restarted the clock. */
  readonly clockRestarts: number;
  readonly completedAtMs?: number;
  /** Absent: not yet compared. */
  readonly census?: CensusResult;
}

/**
 * Whether every lane of a backup was read from an instance of the service on the restored file. `cannot_be_asked`: reading would change the
 * service. `not_configured`: no command starts such an instance.
 */
export const SCRATCH_INSTANCES = ['equal', 'not_configured', 'cannot_be_asked'] as const;

export type ScratchInstance = (typeof SCRATCH_INSTANCES)[number];

/** A copy of a legacy store that was restored into an empty folder and read back there, equal in every lane. */
export interface VerifiedBackup {
  readonly folder: string;
  readonly madeAtMs: number;
  readonly manifestSha256: string;
  readonly lanes: number;
  readonly items: number;
  readonly scratchInstance: ScratchInstance;
}

/** Something that changed on legacy although no write was sent to it. */
export interface ForeignChange {
  readonly owner: Owner;
  /** `reader`: something was used, and nothing changed. */
  readonly kind: 'writer' | 'reader';
  /** The same change has the same digest. */
  readonly digest: string;
  /** How many items, by kind of change. */
  readonly changes: Readonly<Record<string, number>>;
  /** Names of the writers, where the service records them. */
  readonly writers: readonly string[];
}

/** What one replica found when it last compared legacy's store with what was recorded. */
export interface CensusResult {
  readonly atMs: number;
  readonly lanes: number;
  /** Lanes in which legacy holds what both sides were last seen to hold, less what it has forgotten. */
  readonly equal: number;
  /** Lanes without a record of what legacy should hold. */
  readonly unproven: number;
  /** The first of them. */
  readonly unprovenExamples: readonly Owner[];
  /** What legacy has forgotten by itself. */
  readonly forgotten: { readonly lanes: number; readonly items: number };
}

/** The last write of a lane that legacy gets. */
export interface LastForLegacy {
  readonly sequence: number;
  readonly isGivenUp: boolean;
}

/** Why a service cannot become read-only, as numbers; 0 where nothing prevents it. */
export interface ReadOnlyObstacles {
  /** Lanes whose primary is legacy and that are not given up by name. */
  readonly notFlipped: number;
  /** The first of them, by key. */
  readonly examples: readonly LaneKey[];
  /** Writes that legacy should have had seconds ago. */
  readonly overdue: number;
  /** Time since a writer that bypasses the proxy was last found; null if none ever was. */
  readonly bypassedAgoSeconds: number | null;
}

/** What a completion is decided by. Each statement checks it again. */
export interface Completion {
  /** Digest of the facts that the approvals must name. */
  readonly facts: string;
  /** Seconds without a foreign writer. */
  readonly requiredSeconds: number;
  /** What the certificate says, as canonical JSON. */
  readonly statement: string;
}

/** An approval counts for this long. */
export const APPROVAL_HOURS = 24;

/** Two persons must approve a completion. */
export const APPROVERS = 2;

export interface Approval extends ByPerson {
  readonly facts: string;
  readonly atMs: number;
}

/**
 * The state of each service's writes. Every intent commit returns it. @throws StorageError
 */
export interface ServiceWritesStore {
  /** Services that are not open. */
  all(): Promise<readonly ServiceWrites[]>;
  obstacles(service: ServiceName, givenUp: readonly LaneKey[]): Promise<ReadOnlyObstacles>;
  /**
   * Makes a service read-only, and notes the last sequence of each lane. Legacy gets no later write. Audited.
   * @param by also names the lanes that are given up
   * @returns false if the service is not open, a lane is neither flipped nor given up, or a write to legacy is overdue
   */
  beginReadOnly(
    service: ServiceName,
    by: ByPerson & { readonly givenUp: readonly LaneKey[] },
  ): Promise<boolean>;
  /**
   * Notes that legacy has everything up to the noted sequences.
   * @param afterMs how long after the record a request that was sent before it may still arrive
   * @returns false if it has not, or was settled before
   */
  settle(service: ServiceName, afterMs: number): Promise<boolean>;
  /** Stores a verified backup. The first one that was made after the service was settled starts its clock. Audited. */
  backedUp(service: ServiceName, backup: VerifiedBackup, by: ByPerson): Promise<void>;
  newestBackup(
    service: ServiceName,
  ): Promise<(VerifiedBackup & { readonly restoredAtMs: number }) | undefined>;
  /** The last write of each lane that legacy gets, by owner. Owners that were born later are left out. */
  lastForLegacy(service: ServiceName): Promise<ReadonlyMap<Owner, LastForLegacy>>;
  /** Whether this replica makes the next census: the last one began long enough ago. */
  claimCensus(service: ServiceName, everySeconds: number): Promise<boolean>;
  finishCensus(service: ServiceName, result: CensusResult): Promise<void>;
  /** Stores what a census found. A writer that was not known restarts the clock. @returns what was not known */
  foundForeign(service: ServiceName, found: readonly ForeignChange[]): Promise<readonly ForeignChange[]>;
  /** Audited. An approval replaces the person's earlier one. */
  approve(service: ServiceName, approval: Omit<Approval, 'atMs'>): Promise<void>;
  /** Approvals that have not expired. */
  approvals(service: ServiceName): Promise<readonly Approval[]>;
  /**
   * Completes a read-only service. Legacy is not asked afterwards. Audited.
   * @returns false if two persons have not approved these facts, the time is not over, or there is no backup of this time
   */
  complete(service: ServiceName, completion: Completion, by: ByPerson): Promise<boolean>;
  /** Opens a service again that is read-only. Legacy then gets what the journal kept. Audited. */
  reopen(service: ServiceName, by: ByPerson): Promise<boolean>;
}

/** The last state of a lane in which both sides were found equal. */
export interface LastEqual {
  readonly lane: LaneKey;
  readonly sequence: number;
  readonly items: number;
  /** Null if the lane was never compared. */
  readonly digest: string | null;
  readonly atMs: number | null;
  readonly isGivenUp: boolean;
}

export interface StoredForeignChange extends ForeignChange {
  readonly foundAtMs: number;
  readonly seenAtMs: number;
}

/** Something that a person answered for by name, such as `answer:get_context`. */
export interface Accepted extends ByPerson {
  readonly subject: string;
  readonly atMs: number;
}

/** What a completion and its certificate are made of. */
export interface EndFacts {
  /** In the order of their keys. */
  readonly lanes: readonly LastEqual[];
  /** Owners that the journal knows. */
  readonly owners: number;
  /** Of these, owners that came after the service had become read-only. */
  readonly bornSince: number;
  /** Of these, owners whose memory the orchestrator does not have completely, because the present dual writes have not copied it. */
  readonly notCopied: number;
  /** Differences and lost items without a decision. */
  readonly openDifferences: number;
  /** The newest first, at most 100. */
  readonly foreign: readonly StoredForeignChange[];
  /** How many requests of each action agents sent in the period. */
  readonly requests: ReadonlyMap<string, number>;
  /** How many of them were relayed without a lane. */
  readonly relayed: ReadonlyMap<string, number>;
  readonly accepted: readonly Accepted[];
  /** The version that the orchestrator last reported of itself. */
  readonly orchestratorVersion: string;
  /** Writes of the last day, and their bytes in the journal, which keeps them while legacy does not get them. */
  readonly keptPerDay: { readonly writes: number; readonly bytes: number };
}

/** What people decide a completion by. @throws StorageError */
export interface EndFactStore {
  /** @param sinceMs the start of the period. Requests from before do not count */
  facts(service: ServiceName, sinceMs: number): Promise<EndFacts>;
  /** Audited. */
  accept(service: ServiceName, subject: string, by: ByPerson): Promise<void>;
  /** What a completed service's certificate says, and the certificate once it is signed. Undefined before the completion. */
  certificate(
    service: ServiceName,
  ): Promise<{ readonly statement: string; readonly signed: string | undefined } | undefined>;
  /** Replaces a certificate that was signed before. Audited. */
  keepCertificate(service: ServiceName, certificate: string, by: ByPerson): Promise<void>;
}
