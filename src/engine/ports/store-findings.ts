/** The last finished reconciliation of every owner of a service. */
export interface FullRunSize {
  readonly run: number;
  readonly lanes: number;
  readonly items: number;
  /** Of the lanes. */
  readonly notComparable: number;
}

/** Open findings of reconciliations for a service. */
export interface StoreFindings {
  readonly lanes: number;
  /** Of these, lanes whose items differ. Without those that only lack lost items, or that were never copied. */
  readonly fencedLanes: number;
  /** Differing items of these lanes. */
  readonly items: number;
  /** The newest run with an open finding; null if there is none. */
  readonly run: number | null;
  /** Null if no full reconciliation has finished. */
  readonly full: FullRunSize | null;
}

export const NOTHING_FOUND: StoreFindings = { lanes: 0, fencedLanes: 0, items: 0, run: null, full: null };
