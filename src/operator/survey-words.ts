import type { Survey } from '../engine/runs/survey.ts';

type ConcernName = keyof Survey['concerns'];

/** What a person should know of a survey, and its consequence. The number is shown before it. */
const CONCERN_WORDS: Readonly<Record<ConcernName, string>> = {
  unreadable: 'lanes that cannot be read: left out',
  oversize_items: 'items longer than 1 MiB: left out',
  escaped_items: 'items with characters that a database cannot store: copied in a reversible spelling',
  shortened_ids: 'owners whose id is too long for a session: copied under a shortened id',
  repeated_items: 'items equal to another item of their lane: copied as often as legacy shows them',
  about_to_be_forgotten: 'lanes that legacy may forget at any moment: copied while legacy shows them',
  times_going_backwards: 'items older than the item before them: copied in the order of legacy',
  unknown_times: 'items or sessions without a readable time: copied in the order of legacy',
};

export interface ShownConcern {
  readonly words: string;
  readonly count: number;
  /** The first of them. */
  readonly owners: readonly string[];
}

/** A survey as an answer holds it, perhaps from another version. */
export type ShownSurvey = Partial<Survey> | { readonly not_listed: string };

/** What a person should know before anything is written. Empty if there is nothing. */
export function concernsOf(survey: Partial<Survey>): ShownConcern[] {
  const concerns = Object.entries(survey.concerns ?? {}).map(([name, { count, owners }]) => ({
    words: CONCERN_WORDS[name as ConcernName] ?? name.replaceAll('_', ' '),
    count,
    owners,
  }));
  const strays = Object.entries(survey.strays ?? {}).map(([what, count]) => ({
    words: `${what}: no lane shows them, so they stay on legacy`,
    count,
    owners: [],
  }));
  return [...concerns, ...strays].filter(({ count }) => count > 0);
}
