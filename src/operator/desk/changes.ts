import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ApiRefusal } from './operator-api.ts';
import { releasedWords } from '../views/guard.ts';
import { assumedWords, decidedWords } from '../views/ledgers.ts';
import { acceptedWords } from '../views/repairs.ts';
import { flipsHeldWords, progressWords } from '../views/rollbacks.ts';
import { answeringWords } from '../views/restored.ts';
import { counted } from '../views/figures.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import { begun, change, type ChangeRoute, type Form, type Params, RUN_CHANGES } from './run-changes.ts';
import { rulesIn } from './pages/differences.ts';
import type { Visitors } from './visitors.ts';
import { fromOurForm } from './sessions.ts';
import { goTo, placeOf } from './visit.ts';

const WRITE = 'The write';

const CHANGES: readonly ChangeRoute[] = [
  change({
    path: '/flags/:flag',
    to: ENDPOINTS.setFlag,
    body: ({ share, was }) => ({ share: Number(share), was: Number(was) }),
    done: ({ share }, { flag = '' }, { seen }) =>
      `${flag} now requests ${share ?? ''} %${seen ? '.' : '; the proxy has not read it yet.'}`,
  }),
  change({
    path: '/dead-letters/:operation/redrive',
    to: ENDPOINTS.redriveDeadLetter,
    done: () => decidedWords('redriveDeadLetter', WRITE),
  }),
  change({
    path: '/dead-letters/:operation/copy',
    to: ENDPOINTS.copyLaneOfDeadLetter,
    done: () => decidedWords('copyLaneOfDeadLetter', WRITE),
  }),
  change({
    path: '/dead-letters/:operation/skip',
    to: ENDPOINTS.skipDeadLetter,
    done: () => decidedWords('skipDeadLetter', WRITE),
  }),
  change({
    path: '/unknown-outcomes/:operation/:outcome',
    to: ENDPOINTS.assumeOutcome,
    body: (_form, { outcome }) => ({ outcome }),
    done: (_form, { outcome = '' }) => assumedWords(outcome, WRITE),
  }),
  change({
    path: '/reverse/:operation/retry',
    to: ENDPOINTS.retryReverse,
    done: () => decidedWords('retryReverse', WRITE),
  }),
  change({
    path: '/reverse/:operation/skip',
    to: ENDPOINTS.skipReverse,
    done: () => decidedWords('skipReverse', WRITE),
  }),
  change({
    path: '/reverse/:operation/assume-applied',
    to: ENDPOINTS.assumeReverse,
    done: () => decidedWords('assumeReverse', WRITE),
  }),
  change({
    path: '/guard/:service/release',
    to: ENDPOINTS.releaseLatch,
    body: ({ even_so: evenSo }, { service }) => ({ service, ...(evenSo === 'yes' && { even_so: true }) }),
    done: (_form, { service = '' }, released) => releasedWords(service, released).join(' '),
  }),
  change({
    path: '/guard/:service/accept',
    to: ENDPOINTS.acceptSubject,
    body: ({ subject }, { service }) => ({ service, subject }),
    done: ({ subject = '' }, { service = '' }) =>
      `${subject.replace('action:', '')} of ${service} is accepted under your name. Its reads move without evidence.`,
  }),
  change({
    path: '/lanes/:service/copy',
    to: ENDPOINTS.copyLane,
    body: ({ owner }) => ({ owner }),
    done: () => 'The lane is being copied.',
  }),
  change({
    path: '/lanes/:service/accept',
    to: ENDPOINTS.acceptLane,
    body: ({ owner }) => ({ owner }),
    done: ({ owner = '' }, { service = '' }, accepted) => acceptedWords(`${service}/${owner}`, accepted),
  }),
  change({
    path: '/lanes/:service/compare',
    to: ENDPOINTS.beginRun,
    body: ({ owner }, { service }) => ({ kind: 'reconcile', service, owner }),
    done: (_form, _params, { run }) => begun(run, `Run ${String(run)} compares it.`),
  }),
  change({
    path: '/rollbacks/:service/begin',
    to: ENDPOINTS.beginRollback,
    body: ({ owner, percent, accept }, { service }) => ({
      service,
      accept: accept === 'yes',
      ...(owner !== undefined && owner !== '' && { owner }),
      ...(percent !== undefined && percent !== '' && { percent: Number(percent) }),
      ...((owner ?? '') === '' && (percent ?? '') === '' && { all: true }),
    }),
    done: (_form, { service = '' }, { rollback, lanes }) =>
      `Rollback ${String(rollback)} has begun: ${counted(lanes, 'lane returns', 'lanes return')} to legacy. ${flipsHeldWords(service)}`,
  }),
  change({
    path: '/rollbacks/:rollback/stop',
    to: ENDPOINTS.stopRollback,
    done: (_form, _params, stopped) =>
      `The rollback is stopped. ${progressWords(stopped)} The others stay on the orchestrator.`,
  }),
  change({
    path: '/flips/:service/hold',
    to: ENDPOINTS.holdFlips,
    done: (_form, { service = '' }) => `Further flips of ${service} are held.`,
  }),
  change({
    path: '/flips/:service/lift',
    to: ENDPOINTS.liftFlips,
    done: (_form, { service = '' }) => `Lanes of ${service} may be flipped again.`,
  }),
  change({
    path: '/restored/:service/accept',
    to: ENDPOINTS.acceptRestored,
    body: ({ owner }, { service }) => ({ service, ...(owner !== undefined && { owners: [owner] }) }),
    done: (_form, { service = '' }, answer) => answeringWords(service, answer),
  }),
  ...RUN_CHANGES,
  change({
    path: '/services/:service/rules',
    to: ENDPOINTS.addRules,
    body: ({ rules = '' }, { service }) => ({ service, rules: rulesIn(rules) }),
    done: (_form, _params, { added }) =>
      `Rule ${added.join(', ')} will be in force on every replica within 5 s. Evidence for their actions starts again at zero.`,
  }),
  change({
    path: '/rules/:rule/remove',
    to: ENDPOINTS.removeRule,
    done: (_form, { rule = '' }) => `Rule ${rule} is no longer in force.`,
  }),
];

/** Every form that makes a change. Each asks for a name and a reason, makes the change, and returns to its page. */
export function registerChanges(app: FastifyInstance, visitors: Visitors): void {
  for (const route of CHANGES)
    app.post<{ Body: Form; Params: Params }>(route.path, { preHandler: fromOurForm(app) }, (request, reply) =>
      made(visitors, route, { request, reply }),
    );
}

interface Exchange {
  readonly request: FastifyRequest<{ Body: Form; Params: Params }>;
  readonly reply: FastifyReply;
}

async function made(
  visitors: Visitors,
  route: ChangeRoute,
  { request, reply }: Exchange,
): Promise<FastifyReply> {
  const known = visitors.known(request);
  if (known === undefined) return goTo(reply, '/sign-in');
  const { body: form, params } = request;
  const { reason = '', person = known.visitor.name ?? '' } = form;
  if (known.visitor.name === undefined) request.session.person = person;
  try {
    const done = await route.make(known.api, { form, params, by: { person, reason } });
    visitors.tell(request, { tone: 'good', ...(typeof done === 'string' ? { text: done } : done) });
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    visitors.tell(request, { tone: 'bad', text: error.message });
  }
  return goTo(reply, placeOf(form['back']));
}
