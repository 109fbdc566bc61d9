import { html, type Html } from './html.ts';

/** Words of the desk that a newcomer cannot guess. */
export const GLOSSARY = {
  action: 'One kind of request that agents send to a service, such as get_context.',
  consistency: 'Of the comparisons with a verdict, the share in which both sides agree.',
  coverage: 'A numbered period in which every replica journals every write of a service (dual writes).',
  covered: 'Decided while dual writes were active: the write is journaled, sent to legacy, then delivered.',
  'dead letter':
    'A write that the orchestrator refused for good. Later writes of its lane wait for a decision.',
  delivered: 'Applied on the orchestrator.',
  dirty: 'The history of the lane is uncertain. A copy from legacy settles it.',
  differs:
    'A reconciliation found that both sides disagree about the lane, and it was not repaired or accepted since.',
  exception:
    'An item that the orchestrator refuses. A copy left it out, so legacy answers the reads of its lane.',
  generation: 'How often the lane was copied. The orchestrator ignores writes of an older generation.',
  interlock: 'A rule that keeps a share from taking effect while that would be unsafe.',
  lane: 'Everything that one owner has in one service: a session, or a user. Its writes keep their order.',
  latch: 'A trip of the guard that is written down. It keeps reads on legacy until a person releases it.',
  reconciliation: 'A run that compares what both sides store, lane by lane, outside of any request.',
  seeded: 'The orchestrator holds everything that legacy held of the lane, up to a known write.',
  sequence: 'The number of a write within its lane, without gaps.',
  'shadow read': 'A read that is also sent to the other side after the agent has its answer, and compared.',
  stopped: 'A copy of the lane would lose something. Legacy answers its reads until a person decides.',
} as const satisfies Readonly<Record<string, string>>;

type Term = keyof typeof GLOSSARY;

export const anchorOf = (name: string): string => name.replaceAll(' ', '-');

/** A word with its meaning as a tooltip; it links to the glossary, for fingers and keyboards. */
export function term(name: Term, shown: string = name): Html {
  return html`<a class="term" href="/glossary#${anchorOf(name)}" title="${GLOSSARY[name]}">${shown}</a>`;
}
