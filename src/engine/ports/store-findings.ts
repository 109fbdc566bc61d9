/** The last finished reconciliation of every owner of a service. */
export interface FullRunSize {
  readonly run: number;
  readonly lanes: number;
  readonly items: number;
  /** Of the lanes. */
  readonly notComparable: number;
}

/** What reconciliations found of a service that is neither repaired nor accepted. */
export interface StoreFindings {
  readonly lanes: number;
  /** Of these, lanes whose items differ: without those that only lack items that legacy lost, or that were never copied. */
  readonly fencedLanes: number;
  /** Differing items of these lanes. */
  readonly items: number;
  /** The newest run that found any of it; null where nothing stands. */
  readonly run: number | null;
  /** Null where no full reconciliation has finished. */
  readonly full: FullRunSize | null;
}

export const NOTHING_FOUND: StoreFindings = { lanes: 0, fencedLanes: 0, items: 0, run: null, full: null };
