import type { Survey } from '../engine/runs/survey.ts';

type ConcernName = keyof Survey['concerns'];

/** What of a survey a person should know, and what becomes of it; the number stands before it. */
const CONCERN_WORDS: Readonly<Record<ConcernName, string>> = {
  unreadable: 'lanes that cannot be read: they stay out',
  oversize_items: 'items longer than 1 MiB: they stay out',
  escaped_items: 'items with characters that no database stores: copied in a spelling that leads back',
  shortened_ids: 'owners whose id is too long for a session: copied under a shortened one',
  repeated_items: 'items that equal another one of their lane: copied as often as legacy shows them',
  about_to_be_forgotten: 'lanes that legacy may forget at any moment: copied while it shows them',
  times_going_backwards: 'items older than the one before: copied in the order of legacy',
  unknown_times: 'items or sessions without a time that can be read: copied in the order of legacy',
};

export interface ShownConcern {
  readonly words: string;
  readonly count: number;
  /** The first of them. */
  readonly owners: readonly string[];
}

/** A survey as an answer holds it, perhaps of another version. */
export type ShownSurvey = Partial<Survey> | { readonly not_listed: string };

/** What there is to know before anything is written; empty where there is nothing. */
export function concernsOf(survey: Partial<Survey>): ShownConcern[] {
  const concerns = Object.entries(survey.concerns ?? {}).map(([name, { count, owners }]) => ({
    words: CONCERN_WORDS[name as ConcernName] ?? name.replaceAll('_', ' '),
    count,
    owners,
  }));
  const strays = Object.entries(survey.strays ?? {}).map(([what, count]) => ({
    words: `${what}: no lane shows them, they stay on legacy`,
    count,
    owners: [],
  }));
  return [...concerns, ...strays].filter(({ count }) => count > 0);
}
