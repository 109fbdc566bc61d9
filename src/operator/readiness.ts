/** Whether a part of the proxy can do its work, and if not, why. A problem that is not an outage is ok, with a message. */
export interface PartReadiness {
  readonly ok: boolean;
  readonly reason?: string;
}

/** The answer of each part, by name. */
export type Readiness = Readonly<Record<string, PartReadiness>>;
