import { vitest, type Mutant } from '../mutant.ts';

const SESSION = 'src/services/session-memory/writes.ts';
const SESSION_STORE = 'src/services/session-memory/store.ts';
const CONTEXTUAL = 'src/services/contextual-memory/contextual-memory.ts';
const CONTEXTUAL_STORE = 'src/services/contextual-memory/store.ts';
const JARVIS = 'src/services/jarvis-memory.ts';

const SESSION_TESTS = vitest(
  'test/unit/services/session-memory.test.ts',
  'test/unit/services/session-context.test.ts',
);
const CONTEXTUAL_TESTS = vitest(
  'test/unit/services/contextual-memory.test.ts',
  'test/unit/services/contextual-store.test.ts',
);
const JARVIS_TESTS = vitest('test/unit/services/jarvis-memory.test.ts');
const PRIMARY_TESTS = vitest(
  'test/integration/services/orchestrator-as-primary.test.ts',
  'test/integration/services/same-replies.test.ts',
);

/** Faults in what is known of the legacy services. */
export const SERVICE_MUTANTS: readonly Mutant[] = [
  {
    id: 'M39',
    fault: 'a clear that is delivered late deletes what was said after it',
    file: SESSION,
    search: "const filter = { memory_type: 'conversation', position_below: write.position() };",
    replace: "const filter = { memory_type: 'conversation' };",
    commands: [SESSION_TESTS],
  },
  {
    id: 'M40',
    fault: 'every 20,001st interaction of the legacy file is not read',
    file: SESSION_STORE,
    search: 'pages.push(await read(String(first), String(first + IDS_PER_STATEMENT)));',
    replace: 'pages.push(await read(String(first), String(first + IDS_PER_STATEMENT - 1)));',
    commands: [vitest('test/unit/services/session-store.test.ts')],
  },
  {
    id: 'M41',
    fault: 'any error of a clear counts as refused, also one after which the rows are gone',
    file: SESSION,
    search: "outcome: (reply: Message) => outcomeOf(reply, 'Missing session_id'),",
    replace: "outcome: (reply: Message) => (outcomeOf(reply) === 'applied' ? 'applied' : 'refused'),",
    commands: [SESSION_TESTS],
  },
  {
    id: 'M103',
    fault: 'a duplicate session counts as refused although its row may still be committed',
    file: SESSION,
    search: "return outcome === 'unknown' && isUnbindable(request, 'user_id') ? 'refused' : outcome;",
    replace: "return outcome === 'unknown' ? 'refused' : outcome;",
    commands: [SESSION_TESTS],
  },
  {
    id: 'M104',
    fault: 'a session that was deleted and created again stays ended on the orchestrator',
    file: SESSION,
    search: '    ended_at: null,\n',
    replace: '',
    commands: [SESSION_TESTS],
  },
  {
    id: 'M105',
    fault: 'sessions after the first thousand are not copied',
    file: SESSION_STORE,
    search: '} while (rows.length === OWNERS_PER_STATEMENT);',
    replace: '} while (rows.length > OWNERS_PER_STATEMENT);',
    commands: [vitest('test/unit/services/session-store.test.ts')],
  },
  {
    id: 'M106',
    fault: 'a session that many lanes are read with is shown without its interactions',
    file: SESSION_STORE,
    search: 'rows: rowsOf.get(owner) ?? []',
    replace: 'rows: rowsOf.get(`${owner} `) ?? []',
    commands: [vitest('test/unit/services/session-store.test.ts')],
  },
  {
    id: 'M107',
    fault: 'a write of contextual-memory that was stored counts as unknown, because its reply is an error',
    file: CONTEXTUAL,
    search: "  if (message === STORED) return 'applied';\n",
    replace: '',
    commands: [CONTEXTUAL_TESTS],
  },
  {
    id: 'M108',
    fault: 'a read that cuts the summaries of legacy is repeated by a comparison',
    file: CONTEXTUAL,
    search: "? 'cuts' : 'nothing';",
    replace: "? 'nothing' : 'nothing';",
    commands: [CONTEXTUAL_TESTS],
  },
  {
    id: 'M109',
    fault: 'a half-written file is taken for an empty store',
    file: CONTEXTUAL_STORE,
    search:
      "  if (!text.trimStart().startsWith('{'))\n    throw new Error('The store of contextual-memory is not a JSON object');\n",
    replace: "  if (!text.trimStart().startsWith('{')) return { sessions: {}, summaries: {} };\n",
    commands: [CONTEXTUAL_TESTS],
  },
  {
    id: 'M110',
    fault: 'the entries of contextual-memory are copied in reverse order',
    file: CONTEXTUAL_STORE,
    search: '    .toReversed()\n',
    replace: '',
    commands: [CONTEXTUAL_TESTS],
  },
  {
    id: 'M111',
    fault: 'a reminder that was stored counts as unknown, because its broadcast failed',
    file: JARVIS,
    search: "return status === 'error' && reason === STORED ? 'applied' : 'unknown';",
    replace: "return status === 'error' && reason === 'none' ? 'applied' : 'unknown';",
    commands: [JARVIS_TESTS],
  },
  {
    id: 'M112',
    fault: 'memories after the first thousand of a user are missing from its answers',
    file: JARVIS,
    search: 'if (last !== undefined && hasMore(last)) {',
    replace: 'if (last !== undefined && hasMore(last) && answers.length > 1_000) {',
    commands: [JARVIS_TESTS],
  },
  {
    id: 'M113',
    fault: 'an error of get_memories is copied as an empty list',
    file: JARVIS,
    search: "if (reply.fields['status'] !== 'ok' || memories === undefined)",
    replace: "if (memories === undefined && reply.fields['status'] === undefined)",
    commands: [JARVIS_TESTS],
  },
  {
    id: 'M114',
    fault: 'a clear of jarvis-memory deletes what was added after it',
    file: JARVIS,
    search: 'const filter = { tags: [TAG], position_below: write.position() };',
    replace: 'const filter = { tags: [TAG] };',
    commands: [JARVIS_TESTS],
  },
  {
    id: 'M161',
    fault: 'with the orchestrator as primary an interaction is stored in a session that was deleted',
    file: SESSION,
    search: "requires: [{ session: 'open', sessionId }],",
    replace: "requires: [{ session: 'present', sessionId }],",
    commands: [PRIMARY_TESTS],
  },
  {
    id: 'M162',
    fault: 'with the orchestrator as primary a session that exists is created once more',
    file: SESSION,
    search: "      if (row === 'open') return refused;\n",
    replace: '',
    commands: [PRIMARY_TESTS],
  },
  {
    id: 'M163',
    fault: 'with the orchestrator as primary a reminder gets another reply than legacy gave',
    file: JARVIS,
    search: '(isReminder(request) ? spellError(STORED) : DONE)',
    replace: '(isReminder(request) ? DONE : DONE)',
    commands: [PRIMARY_TESTS],
  },
  {
    id: 'M164',
    fault:
      'with the orchestrator as primary a write of contextual-memory gets another reply than legacy gave',
    file: CONTEXTUAL,
    search: 'answer: () => spellError(STORED),',
    replace: 'answer: () => \'{"status": "ok"}\',',
    commands: [PRIMARY_TESTS],
  },
];
