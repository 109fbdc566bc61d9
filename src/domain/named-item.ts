/** An item of a list without ids, as it was when a write named it, just before the write was sent. */
export interface NamedItem {
  /** Digest of all fields that the source shows, except times. */
  readonly digest: string;
  /** How many equal items came after it, because older ones may have been forgotten on one side. */
  readonly newer: number;
}
