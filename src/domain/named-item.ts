/** An item of a list without ids, as a write named it at the moment before it was sent. */
export interface NamedItem {
  /** Digest of all fields that the source shows, times aside. */
  readonly digest: string;
  /** How many equal items stood behind it: the older ones may have been forgotten on one side. */
  readonly newer: number;
}
