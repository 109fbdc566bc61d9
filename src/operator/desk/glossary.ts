import { html, type Html } from '../views/html.ts';

/** Terms of the desk that a newcomer cannot guess. */
export const GLOSSARY = {
  action: 'One kind of request that agents send to a service, such as get_context.',
  consistency: 'The share of comparisons with a verdict in which both backends agree.',
  coverage: 'A numbered period during which every replica journals every write of a service.',
  covered:
    'A write that came while dual writes were active. It is journaled, sent to legacy, then delivered.',
  'dead letter':
    'A write that the orchestrator refused for good. Later writes of its lane wait for a decision.',
  delivered: 'Applied on the orchestrator.',
  dirty: 'The history of the lane is uncertain. A copy from legacy makes it certain.',
  differs: 'A reconciliation found a difference in the lane that is neither repaired nor accepted.',
  exception:
    'An item that the orchestrator refuses. A copy left it out, so legacy answers the reads of its lane.',
  flipped: 'The orchestrator is primary for the writes of the lane, and legacy follows it.',
  generation: 'How often the lane was copied. The orchestrator ignores writes of an older generation.',
  interlock: 'A rule that lowers a flag while its requested share would be unsafe.',
  lane: 'All items of one owner in one service. An owner is a session or a user. The writes of a lane keep their order.',
  latch: 'A stored trip of the guard. It keeps reads on legacy until a person releases it.',
  reconciliation: 'A run that compares what both backends store, lane by lane.',
  seeded: 'The orchestrator holds everything that legacy held of the lane, up to a known write.',
  sequence: 'The number of a write within its lane, without gaps.',
  'shadow read':
    'A read that is also sent to the other backend after the agent has its answer. Both answers are compared.',
  stopped: 'A copy of the lane would lose something. Legacy answers its reads until a person decides.',
} as const satisfies Readonly<Record<string, string>>;

export type Term = keyof typeof GLOSSARY;

export const isTerm = (word: string): word is Term => Object.hasOwn(GLOSSARY, word);

export const anchorOf = (name: string): string => name.replaceAll(' ', '-');

/** A term with its meaning as a tooltip. It links to the glossary, for touch screens and keyboards. */
export function term(name: Term, shown: string = name): Html {
  return html`<a class="term" href="/glossary#${anchorOf(name)}" title="${GLOSSARY[name]}">${shown}</a>`;
}
