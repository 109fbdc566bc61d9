import type { Owner, ServiceName } from '../../domain/ids.ts';

export interface LostItem {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly memoryId: string;
  /** Of what it holds. */
  readonly digest: string;
  /** Its place in the lane's order; null if it was stored before places were. */
  readonly position: number | null;
  /** ISO-8601; null if it was stored before times were. */
  readonly storedAt: string | null;
  /** Its fields without their text; null if it was stored before shapes were. */
  readonly shape: string | null;
  readonly foundAtMs: number;
}

/** Identifies the lost item. A later item may have the same id, and even the same content. */
export type LostAs = Pick<LostItem, 'memoryId' | 'digest' | 'position'>;

/** What is stored of a lost item. */
export type FoundLost = LostAs & Partial<Pick<LostItem, 'storedAt' | 'shape'>>;

/** Items that legacy lost. They stay on the orchestrator until a person decides by name. @throws StorageError */
export interface LostItemStore {
  /** A decision about another item with the same id does not apply to these. */
  found(service: ServiceName, owner: Owner, items: readonly FoundLost[]): Promise<void>;
  /** Those that wait for a decision, by lane, in the order of the lane. */
  open(limit: number): Promise<readonly LostItem[]>;
  /** The same for one lane. */
  waiting(service: ServiceName, owner: Owner): Promise<readonly LostItem[]>;
  /**
   * Items that a person has decided about, as they were then. A repair may remove them from the orchestrator. An item with the
   * same id, but with other content or another place, is not decided.
   */
  decided(service: ServiceName, owner: Owner): Promise<readonly LostAs[]>;
  /** A person accepts the loss. Audited. False if no such item waits. */
  accept(item: LostItemName, by: DecidedBy): Promise<boolean>;
  /** Reserves the item for one minute. Audited. False if no such item waits. */
  beginRestoring(item: LostItemName, by: DecidedBy): Promise<boolean>;
  /** When a restore of it began whose end is unknown. */
  restoringSinceMs(item: LostItemName): Promise<number | undefined>;
  /** It is decided if legacy has taken it. Otherwise it waits again. */
  endRestoring(item: LostItemName, isRestored: boolean): Promise<void>;
}

export type LostItemName = Pick<LostItem, 'service' | 'owner' | 'memoryId'>;

export interface DecidedBy {
  readonly person: string;
  readonly reason: string;
}
