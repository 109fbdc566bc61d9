/** What a service forgets by itself. Anything else that vanishes is lost. */
export interface Retention {
  /** Owners that are unused for this long are deleted. */
  readonly idleSeconds?: number;
  /** Whether each use of the owner restarts the idle time, or only its creation or loading by the service. @defaultValue true */
  readonly isProlongedByUse?: boolean;
  /** The service compares its local time with UTC, so that it keeps owners longer east of Greenwich. @defaultValue false */
  readonly takesLocalTimeForUtc?: boolean;
  /** Only this many owners are kept: those created or loaded last. It explains nothing without `ownersAround` of the lanes. */
  readonly owners?: number;
  /** Only this many newest items of an owner are kept. */
  readonly entries?: number;
  /** Which items `entries` counts. Absent: every item. */
  counts?(fields: Readonly<Record<string, string>>): boolean;
}

/** Whether the service removes nothing by itself. */
export function keepsEverything({ idleSeconds, owners, entries }: Retention): boolean {
  return idleSeconds === undefined && owners === undefined && entries === undefined;
}

/** How many of a service's owners were created or loaded last before a given time, and how many after it. */
export interface OwnersAround {
  readonly before: number;
  readonly since: number;
}
