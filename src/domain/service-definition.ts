import type { MemoryId, Owner, SessionId } from './ids.ts';
import type { ComparisonRule, ShownItems } from './comparison.ts';
import type { HttpEndpoint, ZmqEndpoint } from './endpoint.ts';
import type {
  OrchestratorAnswer,
  OrchestratorRead,
  OrchestratorWrite,
  PrimaryResult,
  PrimaryWrite,
} from './orchestrator-call.ts';
import type { ReplyOutcome } from './outcome.ts';
import type { Message } from './request.ts';
import type { OwnersAround, Retention } from './retention.ts';

/** What a definition may know of the installation. */
export interface ServiceContext {
  /** IANA name of the zone of the service's naive timestamps. */
  readonly timeZone: string;
}

/** A failure that the proxy itself must report in the service's dialect. */
export type FailureKind = 'bad_input' | 'timeout' | 'unavailable';

/** How a service reports an error. */
export interface Dialect {
  /** The reply for a failure of the proxy, as JSON text. `request` is absent if it could not be parsed. */
  error(kind: FailureKind, message: string, request?: Message): string;
}

/** The effect of a read on the legacy service: see ../engine/README.md, "What reading does to legacy". */
export type LegacyReadEffect = 'nothing' | 'touches' | 'loads' | 'cuts';

interface OwnedAction {
  /** The owner of this request's lane. Undefined if it has none that can be mapped; it passes through then. */
  owner(request: Message): Owner | undefined;
}

/** Facts about a write for its calls of the orchestrator. */
export interface WriteFacts {
  readonly request: Message;
  readonly owner: Owner;
  readonly sessionId: SessionId;
  /** When the write was accepted, ISO-8601 UTC with milliseconds. */
  readonly acceptedAt: string;
  /** The items that the write names, as the orchestrator holds them. Empty if the write names none. */
  readonly items: readonly MemoryId[];
  /** Position of the write's item number `index`. Deletes by condition take everything below position 0. */
  position(index?: number): number;
  memoryId(index?: number): MemoryId;
}

/** Facts about a write whose primary is the orchestrator. */
export interface PrimaryFacts extends WriteFacts {
  readonly context: ServiceContext;
  /** The answers to the reads that {@link PrimaryPlan} asked for, so far, in the order of their requests. */
  readonly answers: readonly OrchestratorAnswer[];
}

/**
 * What the proxy does with a write whose primary is the orchestrator. `reply`: the write has no effect, and the agent gets this
 * reply of legacy's. `next`: something must be read first, without a change. Nothing else changes the lane between the reads and
 * the write.
 */
export type PrimaryPlan =
  { readonly reply: string } | { readonly next: readonly OrchestratorRead[] } | PrimaryWrite;

/** What replaces legacy for a write while the orchestrator is primary. */
export interface PrimaryMapping {
  /**
   * The write in the orchestrator's actions, with the conditions under which legacy would have accepted it. Unlike
   * `toOrchestrator` of the action, it gets writes that may be refused. A write is planned once. If its outcome is unknown, the
   * same plan is sent again, because a read would then show the write itself.
   */
  plan(write: PrimaryFacts): PrimaryPlan;
  /** The reply that legacy would have given, as JSON text, byte for byte. Refusals included. */
  answer(result: PrimaryResult, write: PrimaryFacts): string;
}

/** Facts about a write that names items and is sent to legacy after the orchestrator has applied it. */
export interface ReverseFacts {
  readonly request: Message;
  readonly owner: Owner;
  /** Indices into `lane.items` of the named items. Items that legacy no longer has are left out. */
  readonly places: readonly number[];
}

/**
 * Whether legacy gets the whole write after the orchestrator has applied it. A write that stores a time is `lossy`, because the
 * service sets the time itself. `loses`, for people: what legacy does not get.
 */
type Reversal =
  | { readonly reverse: 'exact'; readonly loses?: undefined }
  | { readonly reverse: 'lossy'; readonly loses: string };

/** The write can never be sent to legacy. `loses`, for people: what legacy does not get, and why. */
interface NoReversal {
  readonly reverse: 'impossible';
  readonly loses: string;
  readonly toLegacy?: undefined;
}

/** Legacy gets the agent's own request, except where it names items: their place may be another one there. */
type Reversing =
  | ((Reversal | NoReversal) & { readonly names?: undefined; readonly toLegacy?: undefined })
  | (NoReversal & Naming)
  | (Reversal &
      Naming & {
        /**
         * The request that has the write's effect on the items at {@link ReverseFacts.places}, as JSON text. Undefined if they are
         * gone; the write then counts as done. `lane` is what legacy holds directly before the send.
         */
        toLegacy(write: ReverseFacts, lane: LegacyLane): string | undefined;
      });

interface Naming {
  /**
   * For a write such as "delete reminder 3", or "delete todo 17" where the service made the 17. The named items are found on the
   * primary and stored before the write is sent. The write is delivered item by item (`items` of {@link WriteFacts}). Only where
   * `readLegacy` has no effect on the service. @defaultValue it names nothing
   */
  readonly names: NamedItems;
}

/** Effects outside the store, and which backend causes them while the orchestrator is primary. Before, legacy does. */
export type SideEffects = {
  readonly what: string;
  /** Whether this request has them. @defaultValue every request has */
  concerns?(request: Message): boolean;
} & (
  | {
      readonly raisedBy: 'legacy';
      /** An older write is not sent to legacy before a person has decided, because its effect would come too late. */
      readonly largestAgeSeconds: number;
    }
  /** Legacy must not cause them again when it gets the write. */
  | { readonly raisedBy: 'orchestrator'; readonly largestAgeSeconds?: undefined }
);

/**
 * How a write names its items where the orchestrator does not know their ids. It may name them by their place in a list, by a
 * condition, or by an id that the service made in a reply.
 */
export interface NamedItems {
  /**
   * How many items it can name at most. If the lane could not be read before the write, this many vanished items may be its
   * effect.
   */
  readonly atMost: number;
  /**
   * Indices into `lane.items`, in the lane's state directly before the write is sent. `lane` is what `readLegacy` has returned, so
   * its items may have further members for this search, such as the service's id. While the orchestrator is primary, its items
   * have only the `fields` of {@link LaneDefinition.fieldsOf} and times.
   */
  find(request: Message, lane: LegacyLane): readonly number[];
}

/** Keys of items as text; numbers as JavaScript writes them. */
export interface ItemKeys {
  readonly removed?: readonly string[];
  /** Everything that was written to the lane before. */
  readonly removesAll?: true;
  readonly written?: readonly string[];
}

interface DeliveredWrite extends OwnedAction {
  readonly kind: 'write';
  /**
   * For services that would generate the owner: the request's text with an inserted owner of the same form, or undefined if the
   * request names one. `uuid` makes a random UUID.
   */
  issueOwner?(request: Message, uuid: () => string): string | undefined;
  /**
   * For a request without an owner that can be mapped: the owner whose contents it may still change. The request is
   * relayed, and that owner's lane is copied after the answer. @defaultValue none
   */
  alsoTouches?(request: Message): Owner | undefined;
  /** What a reply shows of the write's effect. Any reply that is not known is `unknown`. */
  outcome(reply: Message, request: Message): ReplyOutcome;
  /**
   * Keys of items that the write removes for good, or writes, if the request itself contains them. Keys are those of the `keyed`
   * and `ranking` rules of the service's reads, or made by `itemKeyOf` according to {@link MappedRead.items}. If the orchestrator
   * shows a removed item afterwards and legacy does not, the guard trips.
   * @defaultValue none: removed items are not checked
   */
  itemKeys?(request: Message): ItemKeys;
  /** Its {@link itemKeys} remove nothing. A lane with only such writes is not checked. @defaultValue false */
  readonly onlyAdds?: true;
  /** Success proves that the lane was empty before. @defaultValue false */
  readonly provesEmpty?: boolean;
  /** @defaultValue none */
  readonly sideEffects?: SideEffects;
  /**
   * The write in the orchestrator's actions, after legacy has applied it. The same write may be delivered several times, so every
   * value must come from `write`. A `create` needs the payload of {@link LaneDefinition.createPayload}, and `memory_id`, `position`
   * and `created_at` from `write`. A `bulk_delete` needs `position_below: write.position()` in its filter, and may have
   * `memory_type` and `tags`. With any other condition the copies of the lane cannot tell which items it removed, and count them as
   * lost.
   */
  toOrchestrator(write: WriteFacts, context: ServiceContext): OrchestratorWrite[];
  /** @defaultValue the lanes of the service cannot be flipped */
  readonly asPrimary?: PrimaryMapping;
}

export type WriteAction = DeliveredWrite & Reversing;

/** The reply in the legacy dialect as JSON text, or what must be read first. */
export type ReadAnswer = { readonly reply: string } | { readonly next: readonly OrchestratorRead[] };

interface ReadBase extends OwnedAction {
  readonly kind: 'read';
  onLegacy(request: Message): LegacyReadEffect;
}

export interface MappedRead extends ReadBase {
  readonly legacyOnly?: undefined;
  toOrchestrator(request: Message, sessionId: SessionId): readonly OrchestratorRead[];
  /** `answers` holds all answers so far, in the order of their requests. */
  fromOrchestrator(answers: readonly OrchestratorAnswer[], facts: ReadFacts): ReadAnswer;
  readonly rules: readonly ComparisonRule[];
  /**
   * For items without ids that a rule could name: which members of the answer identify an item. @defaultValue ids that rules name
   */
  readonly items?: ShownItems;
}

export interface ReadFacts {
  readonly request: Message;
  readonly sessionId: SessionId;
  readonly context: ServiceContext;
}

/** A read that the orchestrator cannot answer. It stays on legacy, is listed, and counts as not moved. */
interface LegacyOnlyRead extends ReadBase {
  /** The reason, for the operator. */
  readonly legacyOnly: string;
}

/** Known, relayed unchanged, neither journaled nor compared. */
export interface PassthroughAction {
  readonly kind: 'passthrough';
  readonly reason: string;
  /** It changes nothing, such as a health check. It is still relayed when legacy takes no more writes. @defaultValue it may write */
  readonly changesNothing?: true;
}

export type ActionDefinition = WriteAction | MappedRead | LegacyOnlyRead | PassthroughAction;

/** Ways to read a legacy service's contents without harm. Those not configured are absent. */
export interface LegacyAccess {
  /** Runs one short read-only statement on the service's SQLite file. */
  sqlite?(sql: string, parameters: readonly string[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** The service's JSON file as parsed text. Read again while it does not parse. */
  jsonFile?(): Promise<string>;
  /** Calls the service itself, on the probe connection. */
  readonly call?: (text: string) => Promise<Message>;
}

/** One item that a legacy store shows of a lane. */
export interface LegacyItem {
  /**
   * What identifies the item, in the legacy store and on the orchestrator: raw JSON text per field. Equal items may repeat. Include
   * everything that the store shows and that {@link LaneDefinition.fieldsOf} can return for a delivered item. Leave out the time,
   * which `retime` takes over. Leave out an id that the service makes in its reply. A delivery does not see the reply, so the
   * delivered item would differ from the same item in the store. A copy would then replace it.
   */
  readonly fields: Readonly<Record<string, string>>;
  /** The time in the service's own spelling. */
  readonly timestamp: string;
  /** The same time, ISO-8601 UTC. */
  readonly at: string;
  /** The service's text is not a time: `at` is that of the item before it, or 1970. */
  readonly isTimeUnknown?: true;
}

/** A lane as the legacy store shows it. */
export interface LegacyLane {
  /** False if the store has no trace of the owner. */
  readonly exists: boolean;
  /** Oldest first. */
  readonly items: readonly LegacyItem[];
  /** When the service last made or loaded the owner, ISO-8601 UTC. A later time shows a reader. Absent: the service does not say. */
  readonly usedAt?: string;
  /**
   * Data that the service derived from its items and would not derive again in the same way. A copy puts it after all items that
   * it saw, in place of what an earlier copy wrote. It is no part of the list: never compared, forgotten or lost.
   */
  readonly derived?: readonly LegacyItem[];
  /** The owner's own row, created or updated by a copy. */
  readonly session?: {
    readonly userId: string;
    readonly metadata: string;
    readonly createdAt: string;
    /** The service's text is not a time: `createdAt` is 1970. */
    readonly isTimeUnknown?: true;
  };
}

/** An orchestrator item, as `scan` and `batch_read` return it. */
export interface StoredMemory {
  readonly memory_id: string;
  readonly memory_type: string;
  /** Raw JSON text. */
  readonly content: string;
  readonly tags: readonly string[];
  readonly position: number;
  readonly created_at: string;
  /** Increases with every change of the item. */
  readonly version?: number;
  readonly source_agent: string | null;
  /** The lane key under whose fence it was written. Only a scan returns it. */
  readonly lane_key?: string | null;
}

/** The row of a session on the orchestrator, as `scan` returns it. */
export interface StoredSession {
  readonly userId: string;
  /** Raw JSON text. */
  readonly metadata: string;
}

/**
 * The members of `content` that identify an item, whichever writer wrote it. What {@link LaneDefinition.createPayload} makes of
 * legacy's items is digested by them, and compared with the orchestrator's digest of the session. Only lanes with different digests
 * are read item by item.
 */
export interface LaneDigest {
  /** Together they must show every difference that {@link LegacyItem.fields} shows. */
  readonly fields: readonly string[];
  /** Nested members that depend on the writer or the time, such as `metadata.legacy_timestamp`. */
  readonly without: readonly string[];
  /** Tags of items that {@link LaneDefinition.fieldsOf} leaves out. Items marked forgotten are always left out. */
  readonly excludeTags: readonly string[];
}

export interface LaneDefinition {
  /** Prefix of the owner in the orchestrator's session id. Empty keeps the owner's own id. */
  readonly sessionPrefix: string;
  readonly retention: Retention;
  /**
   * Returns all at once, or page by page if the store may be large. Undefined if it cannot be listed, for example if only an API gives access.
   * The owners then come from the journal.
   */
  owners(access: LegacyAccess): Promise<readonly Owner[] | undefined> | AsyncIterable<readonly Owner[]>;
  /**
   * How the owners in the store compare to a time (ISO-8601), by the times that the service's {@link retention} uses. An owner
   * that is gone can only have been forgotten in that order. @defaultValue the order is unknown
   */
  ownersAround?(instant: string, access: LegacyAccess, context: ServiceContext): Promise<OwnersAround>;
  readLegacy(owner: Owner, access: LegacyAccess, context: ServiceContext): Promise<LegacyLane>;
  /**
   * Whether the configuration is sufficient for `readLegacy`. If not, no lane is copied, and a person decides about a write of
   * unknown outcome. @defaultValue true
   */
  isReadable?(access: LegacyAccess): boolean;
  /** Reads many lanes in one reading of the store. An owner without a trace may be left out. @defaultValue one by one */
  readMany?(
    owners: readonly Owner[],
    access: LegacyAccess,
    context: ServiceContext,
  ): Promise<ReadonlyMap<Owner, LegacyLane>>;
  /** What the store holds and no lane shows, such as items of owners that are gone: counts by name. */
  strays?(access: LegacyAccess): Promise<Readonly<Record<string, number>>>;
  /** How the orchestrator's digest of a session represents the lane. Absent: every lane is read item by item for a comparison. */
  readonly digest?: LaneDigest;
  /** The writer of an item, if the service records it. Identifies writers that bypass the proxy. */
  writerOf?(item: LegacyItem): string | undefined;
  /** The request that stores an item again, as the last one. Absent: a lost item can only be accepted. */
  restoreRequest?(fields: Readonly<Record<string, string>>, owner: Owner): string;
  /**
   * The request that creates an owner again that legacy no longer shows. Sent before the first {@link restoreRequest}.
   * Absent: the service creates an owner with its first item.
   */
  restoreOwner?(owner: Owner, session: StoredSession): string;
  /** How each member of the service's items is mapped, for people. */
  readonly mapping?: readonly { readonly from: string; readonly to: string }[];
  /** Tags that say what an item is. An item carries exactly one of them. */
  readonly kindTags?: readonly string[];
  /**
   * The `create` payload of an item that a copy writes, without ids, position and times. It needs `memory_type` (a lowercase word)
   * and `content` (an object), and `create_session: true` where no other write creates the session. `tags` have at most 64
   * characters. With `escape_unstorable: true` the orchestrator also stores texts that PostgreSQL cannot hold.
   */
  createPayload(item: LegacyItem, owner: Owner): Readonly<Record<string, unknown>>;
  /**
   * The `update` payload, without the id, that gives an orchestrator item legacy's time of the same item. Undefined if it has
   * that time. Absent: delivered items keep the time at which the proxy accepted them. The helper `retime` of
   * `src/services/stored-items.ts` stores the time in `content.metadata.legacy_timestamp`. It needs an object in `content.metadata`,
   * and {@link createPayload} must store the item's `timestamp` under the same name.
   */
  retime?(memory: StoredMemory, item: LegacyItem): Readonly<Record<string, unknown>> | undefined;
  /**
   * The fields of an orchestrator item as {@link LegacyItem.fields}. Undefined for an item that is no part of the lane's list.
   */
  fieldsOf(memory: StoredMemory): Readonly<Record<string, string>> | undefined;
  /** The fields of an item that a copy wrote for {@link LegacyLane.derived}. Undefined for any other item. */
  derivedFieldsOf?(memory: StoredMemory): Readonly<Record<string, string>> | undefined;
}

export interface ServiceDefinition {
  readonly name: string;
  readonly endpoint: ZmqEndpoint | HttpEndpoint;
  readonly dialect: Dialect;
  /** The member that names the action. Absent for HTTP services. @defaultValue `action` */
  readonly selector?: string;
  /**
   * The member of a write with the agent's own request id. It may repeat, be empty or constant. It identifies a repeat only while
   * an agent has no reply. @defaultValue requests have none
   */
  readonly requestId?: string;
  readonly actions: Readonly<Record<string, ActionDefinition>>;
  readonly lanes: LaneDefinition;
  /**
   * A harmless request that the service answers in every state. After two answers a serial server has processed what it had
   * queued.
   */
  readonly probe: string;
  /** A write without an effect, after which every earlier write is stored. @defaultValue none is left uncommitted */
  readonly flush?: string;
  /** Each reversible write once; the last removes the owner's items if it can. @defaultValue only agents' writes prove the way back */
  canary?(owner: Owner): readonly string[];
  /**
   * Whether it processes its requests one after the other, from all connections. Then an answered probe proves that everything
   * before it was processed. @defaultValue true over ZeroMQ, false over HTTP
   */
  readonly isSerial?: boolean;
  /** What cannot be mapped, with the reason. Shown to operators. */
  readonly unmapped: readonly { readonly what: string; readonly reason: string }[];
  /**
   * What agents notice once the orchestrator answers their writes, in words. Leave out what `retention`, `loses` and `sideEffects`
   * say. @defaultValue nothing else
   */
  readonly noticed?: readonly string[];
}

/** Whether an answer of the service proves that it has processed everything that was sent before. */
export function isSerial({ isSerial: isDeclared, endpoint }: ServiceDefinition): boolean {
  return isDeclared ?? endpoint.kind === 'zmq';
}

/** Whether a lane's contents can be read without a request of an agent. */
export function isReadable(of: { definition: ServiceDefinition; access: LegacyAccess }): boolean {
  return of.definition.lanes.isReadable?.(of.access) ?? true;
}

/** Defines a legacy service. Only the definition knows its protocol. */
export function defineService(definition: ServiceDefinition): ServiceDefinition {
  return definition;
}
