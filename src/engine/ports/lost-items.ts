import type { Owner, ServiceName } from '../../domain/ids.ts';

export interface LostItem {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly memoryId: string;
  /** Of what it holds. */
  readonly digest: string;
  /** Its place in the lane's order; null where it was written down before places were. */
  readonly position: number | null;
  /** ISO-8601; null where it was written down before times were. */
  readonly storedAt: string | null;
  /** Its fields without their text; null where it was written down before shapes were. */
  readonly shape: string | null;
  readonly foundAtMs: number;
}

/** Which item it is that was lost: a later one may have the same id, and the same content too. */
export type LostAs = Pick<LostItem, 'memoryId' | 'digest' | 'position'>;

/** What is written down of an item that was lost. */
export type FoundLost = LostAs & Partial<Pick<LostItem, 'storedAt' | 'shape'>>;

/** Items that legacy lost. They stay on the orchestrator until a person decides by name. @throws StorageError */
export interface LostItemStore {
  /** What was decided about another item of the same id says nothing of these. */
  found(service: ServiceName, owner: Owner, items: readonly FoundLost[]): Promise<void>;
  /** Those that wait for a decision, by lane, in the order of the lane. */
  open(limit: number): Promise<readonly LostItem[]>;
  /** The same, all of one lane. */
  waiting(service: ServiceName, owner: Owner): Promise<readonly LostItem[]>;
  /**
   * What a person has decided about, as it was then: a repair may remove it from the orchestrator. What has the same id and holds
   * something else, or stands elsewhere, nobody has decided about.
   */
  decided(service: ServiceName, owner: Owner): Promise<readonly LostAs[]>;
  /** It is given up. Audited. False where no such item waits. */
  accept(item: LostItemName, by: DecidedBy): Promise<boolean>;
  /** Nobody else decides about it for a minute. Audited. False where no such item waits. */
  beginRestoring(item: LostItemName, by: DecidedBy): Promise<boolean>;
  /** Since when it is being restored, where nobody knows how that ended. */
  restoringSinceMs(item: LostItemName): Promise<number | undefined>;
  /** It is decided where legacy has taken it; else it waits again. */
  endRestoring(item: LostItemName, isRestored: boolean): Promise<void>;
}

export type LostItemName = Pick<LostItem, 'service' | 'owner' | 'memoryId'>;

export interface DecidedBy {
  readonly person: string;
  readonly reason: string;
}
