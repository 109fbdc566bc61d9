/** Whether a part of the proxy can do its work; if not, why. What is worth a word and no outage is ok, with the word. */
export interface PartReadiness {
  readonly ok: boolean;
  readonly reason?: string;
}

/** The answer of each part, by its name. */
export type Readiness = Readonly<Record<string, PartReadiness>>;
