import type { MemoryId, Owner, SessionId } from './ids.ts';
import type { ShownItems } from './item-key.ts';
import type { OrchestratorAnswer, OrchestratorRead, OrchestratorWrite } from './orchestrator-call.ts';
import type { ReplyOutcome } from './outcome.ts';
import type { Message } from './request.ts';
import type { HttpEndpoint, ZmqEndpoint } from './service-endpoint.ts';
import type { ComparisonRule } from './comparison.ts';

/** What a definition may know of the installation. */
export interface ServiceContext {
  /** IANA name; what the service's naive timestamps mean. */
  readonly timeZone: string;
}

/** A failure the proxy itself must put into the service's words. */
export type FailureKind = 'bad_input' | 'timeout' | 'unavailable';

/** How a service says that something went wrong. */
export interface Dialect {
  /** The reply for a failure of the proxy, as JSON text. `request` is absent where it could not be parsed. */
  error(kind: FailureKind, message: string, request?: Message): string;
}

/** What a read does to the legacy service: see ../engine/README.md, "What reading does to legacy". */
export type LegacyReadEffect = 'nothing' | 'touches' | 'loads' | 'cuts';

interface OwnedAction {
  /** The owner of this request's lane; undefined where it has none that can be mapped: it passes through. */
  owner(request: Message): Owner | undefined;
}

/** What a write can tell the orchestrator about itself. */
export interface WriteFacts {
  readonly request: Message;
  readonly owner: Owner;
  readonly sessionId: SessionId;
  /** When the write was accepted, ISO-8601 UTC with milliseconds. */
  readonly acceptedAt: string;
  /** The items that the write names, as the orchestrator holds them; none where {@link WriteAction.names} is absent. */
  readonly items: readonly MemoryId[];
  /** Position of the write's item number `index`. Predicate deletes take everything below position 0. */
  position(index?: number): number;
  memoryId(index?: number): MemoryId;
}

/** How a write says which items it means where they have no ids: by a place in a list, or by a condition on them. */
export interface NamedItems {
  /** How many it can mean at most: so many that vanished are taken to be its doing where the lane could not be read before it. */
  readonly atMost: number;
  /** Indices into `lane.items`, of the lane as it stands right before the write is sent. */
  find(request: Message, lane: LegacyLane): readonly number[];
}

/** Keys of items as text: a number as JavaScript writes it. */
export interface ItemKeys {
  readonly removed?: readonly string[];
  /** All that was written to the lane before. */
  readonly removesAll?: true;
  readonly written?: readonly string[];
}

export interface WriteAction extends OwnedAction {
  readonly kind: 'write';
  /**
   * Where the service would generate the owner: the request's text with an owner of the same form inserted, or undefined
   * when the request names one. `uuid` draws a random UUID.
   */
  issueOwner?(request: Message, uuid: () => string): string | undefined;
  /**
   * For a request without an owner that can be mapped: whose contents it may change all the same. It is relayed, and that owner's lane
   * is copied anew once it was answered. @defaultValue nobody's
   */
  alsoTouches?(request: Message): Owner | undefined;
  /** What a reply says of the write's effect. Anything not known is `unknown`. */
  outcome(reply: Message, request: Message): ReplyOutcome;
  /**
   * For a write such as "delete reminder 3": what it names is found before it is sent, stored, and delivered by item (`items` of
   * {@link WriteFacts}). Only where `readLegacy` does nothing to the service. @defaultValue it names nothing
   */
  readonly names?: NamedItems;
  /**
   * Keys that the request itself carries of items which the write removes for good, or writes: keys as the `keyed` and `ranking` rules of
   * the service's reads name them, or made by `itemKeyOf` as their {@link MappedRead.items} say. A removed item that the orchestrator
   * shows afterwards, and legacy does not, trips the guard.
   * @defaultValue none: nobody looks for removed items
   */
  itemKeys?(request: Message): ItemKeys;
  /** Its {@link itemKeys} remove nothing: a lane that knows no other writes is not looked into. @defaultValue false */
  readonly onlyAdds?: true;
  /** Success proves that the lane was empty before. @defaultValue false */
  readonly provesEmpty?: boolean;
  /** What happens outside the store, and which backend raises it. @defaultValue nothing */
  readonly sideEffects?: { readonly raisedBy: 'legacy' | 'orchestrator'; readonly what: string };
  /** Whether the write can go the other way once the orchestrator is primary. */
  readonly reverse: 'exact' | 'lossy' | 'impossible';
  toOrchestrator(write: WriteFacts, context: ServiceContext): OrchestratorWrite[];
}

/** The legacy dialect's reply as JSON text, or what must be read first. */
export type ReadAnswer = { readonly reply: string } | { readonly next: readonly OrchestratorRead[] };

interface ReadBase extends OwnedAction {
  readonly kind: 'read';
  onLegacy(request: Message): LegacyReadEffect;
}

export interface MappedRead extends ReadBase {
  readonly legacyOnly?: undefined;
  toOrchestrator(request: Message, sessionId: SessionId): readonly OrchestratorRead[];
  /** `answers` are all answers so far, in the order their reads were asked for. */
  fromOrchestrator(answers: readonly OrchestratorAnswer[], facts: ReadFacts): ReadAnswer;
  readonly rules: readonly ComparisonRule[];
  /** Where items carry no ids that a rule could name: what of the answer shows an item. @defaultValue ids are what rules name */
  readonly items?: ShownItems;
}

export interface ReadFacts {
  readonly request: Message;
  readonly sessionId: SessionId;
  readonly context: ServiceContext;
}

/** A read that no orchestrator can answer. It stays on legacy, is listed, and counts as not moved. */
export interface LegacyOnlyRead extends ReadBase {
  /** Why, for the operator. */
  readonly legacyOnly: string;
}

/** Known, relayed untouched, neither journaled nor compared. */
export interface PassthroughAction {
  readonly kind: 'passthrough';
  readonly reason: string;
}

export type ActionDefinition = WriteAction | MappedRead | LegacyOnlyRead | PassthroughAction;

/** Ways to see a legacy service's contents without harming it. What is not configured is absent. */
export interface LegacyAccess {
  /** Runs one short read-only statement on the service's SQLite file. */
  sqlite?(sql: string, parameters: readonly string[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** The service's JSON file, parsed text checked; read again while it does not parse. */
  jsonFile?(): Promise<string>;
  /** Calls the service itself, on the probe connection. */
  call?(text: string): Promise<Message>;
}

/** One thing a legacy store shows of a lane. */
export interface LegacyItem {
  /** What the source shows of it, except when: the item's identity in a multiset. Raw JSON text per field. */
  readonly fields: Readonly<Record<string, string>>;
  /** The service's own spelling of its time. */
  readonly timestamp: string;
  /** The same instant, ISO-8601 UTC. */
  readonly at: string;
  /** The service's spelling is no time: `at` is that of the item before it, or 1970. */
  readonly isTimeUnknown?: true;
}

/** A lane as the legacy store shows it. */
export interface LegacyLane {
  /** False where the store has no trace of the owner. */
  readonly exists: boolean;
  /** Oldest first. */
  readonly items: readonly LegacyItem[];
  /**
   * What the service has made of its items and would not make the same again. A copy puts it behind all items it saw, in place of
   * what an earlier copy wrote; it is no part of the list: never compared, forgotten or lost.
   */
  readonly derived?: readonly LegacyItem[];
  /** The owner's own row: made or updated by a copy. */
  readonly session?: {
    readonly userId: string;
    readonly metadata: string;
    readonly createdAt: string;
    /** What the service has for it is no time: `createdAt` is 1970. */
    readonly isTimeUnknown?: true;
  };
}

/** An orchestrator item as `scan` and `batch_read` show it. */
export interface StoredMemory {
  readonly memory_id: string;
  readonly memory_type: string;
  /** Raw JSON text. */
  readonly content: string;
  readonly tags: readonly string[];
  readonly position: number;
  readonly created_at: string;
  /** Rises with every change of the item. */
  readonly version?: number;
  readonly source_agent: string | null;
  /** Whose fence it was written under; only a scan shows it. */
  readonly lane_key?: string | null;
}

/** The row of a session on the orchestrator, as `scan` shows it. */
export interface StoredSession {
  readonly userId: string;
  /** Raw JSON text. */
  readonly metadata: string;
}

/** What a service forgets by itself. Anything else that vanishes is lost. */
export interface Retention {
  /** Owners not used for so long are deleted. */
  readonly idleSeconds?: number;
  /** Whether the idle time starts again with each use of the owner, or only when the service makes or loads it. @defaultValue true */
  readonly isProlongedByUse?: boolean;
  /** Only so many owners are kept: those made or loaded last. It explains nothing without {@link LaneDefinition.ownersAround}. */
  readonly owners?: number;
  /** Only so many newest items of an owner are kept. */
  readonly entries?: number;
  /** Which items `entries` counts; every item where absent. */
  counts?(fields: Readonly<Record<string, string>>): boolean;
}

/** How many of the owners that a service holds it made, or loaded last, before an instant, and how many since then. */
export interface OwnersAround {
  readonly before: number;
  readonly since: number;
}

/** The members of `content` that make an item what it is, whoever wrote it. */
export interface LaneDigest {
  readonly fields: readonly string[];
  /** Members within these that say who wrote the item or when, such as `metadata.legacy_timestamp`. */
  readonly without: readonly string[];
  /** Tags of what is no part of the list. What is marked forgotten is left out always. */
  readonly excludeTags: readonly string[];
}

export interface LaneDefinition {
  /** Put before the owner in the orchestrator's session id; empty keeps the owner's own id. */
  readonly sessionPrefix: string;
  readonly retention: Retention;
  /**
   * All at once, or page by page where the store may be large. Undefined where it cannot be listed, such as behind an API: then the
   * journal says whose lanes there are.
   */
  owners(access: LegacyAccess): Promise<readonly Owner[] | undefined> | AsyncIterable<readonly Owner[]>;
  /**
   * How the owners of the store stand to an instant (ISO-8601), by the times that the service's {@link retention} goes by. An owner that
   * is gone can only have been forgotten in that order. @defaultValue the order is unknown
   */
  ownersAround?(instant: string, access: LegacyAccess, context: ServiceContext): Promise<OwnersAround>;
  readLegacy(owner: Owner, access: LegacyAccess, context: ServiceContext): Promise<LegacyLane>;
  /**
   * Whether what is configured is enough for `readLegacy`. Where it is not, no lane is copied, and a person decides what became of a
   * write of unknown outcome. @defaultValue true
   */
  isReadable?(access: LegacyAccess): boolean;
  /** Many lanes with one reading of the store; an owner that it has no trace of may be left out. @defaultValue one by one */
  readMany?(
    owners: readonly Owner[],
    access: LegacyAccess,
    context: ServiceContext,
  ): Promise<ReadonlyMap<Owner, LegacyLane>>;
  /** What the store holds and no lane shows, such as items of owners that are gone: by name, how many. */
  strays?(access: LegacyAccess): Promise<Readonly<Record<string, number>>>;
  /** How the orchestrator's digest of a session sees the lane. Absent: every lane is read item by item to be compared. */
  readonly digest?: LaneDigest;
  /** Who wrote an item, where the service says so: names a writer that bypasses the proxy. */
  writerOf?(item: LegacyItem): string | undefined;
  /** The request that stores an item anew, as its last one. Absent: a lost item can only be accepted. */
  restoreRequest?(fields: Readonly<Record<string, string>>, owner: Owner): string;
  /**
   * The request that makes an owner again of whom legacy shows nothing, sent before the first {@link restoreRequest}. Absent: the
   * service makes an owner with its first item.
   */
  restoreOwner?(owner: Owner, session: StoredSession): string;
  /** Where each member of the service's items goes, for people. */
  readonly mapping?: readonly { readonly from: string; readonly to: string }[];
  /** Tags of which an item carries the one that says what it is, and no other. */
  readonly kindTags?: readonly string[];
  /** The `create` payload of an item that a copy writes, without ids, position and times. */
  createPayload(item: LegacyItem, owner: Owner): Readonly<Record<string, unknown>>;
  /**
   * The `update` payload, without the id, that gives an orchestrator item the time of the same item on legacy. Undefined where it has
   * that time. Absent: delivered items keep the time at which the proxy accepted them.
   */
  retime?(memory: StoredMemory, item: LegacyItem): Readonly<Record<string, unknown>> | undefined;
  /** The fields of an orchestrator item as {@link LegacyItem.fields}; undefined for an item that is no part of the lane's list. */
  fieldsOf(memory: StoredMemory): Readonly<Record<string, string>> | undefined;
  /** The fields of an item that a copy wrote for {@link LegacyLane.derived}; undefined for any other. */
  derivedFieldsOf?(memory: StoredMemory): Readonly<Record<string, string>> | undefined;
}

export interface ServiceDefinition {
  readonly name: string;
  readonly endpoint: ZmqEndpoint | HttpEndpoint;
  readonly dialect: Dialect;
  /** Which member names the action. Absent for HTTP services. @defaultValue `action` */
  readonly selector?: string;
  /**
   * Which member of a write carries the agent's own id of the request. It may repeat, be empty or constant: only while an agent has no
   * reply does it tell a repeat from a new write. @defaultValue requests have none
   */
  readonly requestId?: string;
  readonly actions: Readonly<Record<string, ActionDefinition>>;
  readonly lanes: LaneDefinition;
  /** Harmless request that the service answers whatever it is: settles what a serial server still had queued. */
  readonly probe: string;
  /**
   * Whether it takes its requests one after the other, whatever connection they come on: then an answered probe proves that all before
   * it were taken. @defaultValue true over ZeroMQ, false over HTTP
   */
  readonly isSerial?: boolean;
  /** What cannot be mapped, with the reason. Shown to operators. */
  readonly unmapped: readonly { readonly what: string; readonly reason: string }[];
}

/** Whether an answer of the service proves that it has taken what was sent to it before. */
export function isSerial({ isSerial: isDeclared, endpoint }: ServiceDefinition): boolean {
  return isDeclared ?? endpoint.kind === 'zmq';
}

/** Whether a lane's contents can be looked at where no agent asks for them. */
export function isReadable({
  definition,
  access,
}: {
  definition: ServiceDefinition;
  access: LegacyAccess;
}): boolean {
  return definition.lanes.isReadable?.(access) ?? true;
}

/** Defines a legacy service. The only place that knows its protocol. */
export function defineService(definition: ServiceDefinition): ServiceDefinition {
  return definition;
}
