import { vitest, type Mutant } from '../mutant.ts';

const JOURNAL_SQL = 'src/storage/journal/journal-sql.ts';
const COPY_SQL = 'src/storage/journal/copy-commits.ts';
const COMMIT_SQL = 'src/storage/journal/intent-commits.ts';
const RECOVERY_SQL = 'src/storage/journal/recovery-sql.ts';
const PROGRESS = 'src/storage/journal/journal.ts';
const GROUP = 'src/storage/journal/group-commit.ts';
const FENCE = 'src/orchestrator/memories/fence.ts';
const CREATE = 'src/orchestrator/memories/create-memories.ts';
const BULK_DELETE = 'src/orchestrator/memories/change-memories.ts';
const PLAIN = 'src/orchestrator/memories/plain-creates.ts';
const KEYS = 'src/orchestrator/memories/idempotency.ts';
const LANE_WRITE = 'src/orchestrator/memories/lane-write.ts';

const CONTRACT = vitest('test/sim/journal-contract.test.ts');
const FENCE_TESTS = vitest('test/unit/orchestrator/fence.test.ts');
const FENCE_SQL_TESTS = vitest(
  'test/integration/orchestrator/fence.test.ts',
  'test/integration/orchestrator/fence-table.test.ts',
);
const LANE_RACES = vitest('test/integration/orchestrator/lane-write-races.test.ts');

/** Faults in the journal's statements and in the orchestrator's fence. */
export const STORE_MUTANTS: readonly Mutant[] = [
  {
    id: 'M32',
    fault: 'a copy of an older generation finishes',
    file: COPY_SQL,
    search: 'asked on asked.key = l.key and asked.generation = l.generation',
    replace: 'asked on asked.key = l.key and asked.generation <= l.generation',
    commands: [CONTRACT],
  },
  {
    id: 'M33',
    fault: 'deliveries pass a write whose outcome is not durable yet',
    file: JOURNAL_SQL,
    search: "where unsettled = 0 and outcome = 'applied'",
    replace: "where outcome = 'applied'",
    commands: [CONTRACT],
  },
  {
    id: 'M34',
    fault: 'an uncertainty takes a stopped lane away from the person who must decide',
    file: JOURNAL_SQL,
    search: "and condition <> 'stopped' and primary_backend = 'legacy'`;\n\nexport const STOP_LANE",
    replace: "and primary_backend = 'legacy'`;\n\nexport const STOP_LANE",
    commands: [CONTRACT, vitest('test/integration/storage/journal.test.ts')],
  },
  {
    id: 'M35',
    fault: 'the write of an open dead letter is pruned',
    file: JOURNAL_SQL,
    search:
      '    and not exists (select from dead_letters d where d.lane_id = w.lane_id and d.sequence = w.sequence and d.resolved_at is null)\n',
    replace: '',
    commands: [vitest('test/integration/storage/journal-pruning.test.ts')],
  },
  {
    id: 'M36',
    fault: 'a repeated delivery takes effect twice',
    file: FENCE,
    search: "if (sequence <= stored.sequence) return { verdict: 'already_applied', place: stored };",
    replace: "if (sequence < stored.sequence) return { verdict: 'already_applied', place: stored };",
    commands: [FENCE_TESTS],
  },
  {
    id: 'M37',
    fault: 'a repeated delivery passes the fence of the fast statement',
    file: FENCE,
    search: '(excluded.generation, ${first}) > (l.generation, l.sequence)',
    replace: '(excluded.generation, ${first}) >= (l.generation, l.sequence)',
    commands: [FENCE_SQL_TESTS],
  },
  {
    id: 'M38',
    fault: 'a late repetition without a lane brings a deleted memory back',
    file: CREATE,
    search: 'where excluded.lane_key is not null and m.session_id = excluded.session_id',
    replace: 'where m.session_id = excluded.session_id',
    commands: [vitest('test/integration/orchestrator/actions.test.ts')],
  },
  {
    id: 'M82',
    fault: 'a delivery of an older generation takes effect after a copy',
    file: FENCE,
    search: "if (generation < stored.generation) return { verdict: 'superseded', place: stored };",
    replace: '',
    commands: [FENCE_TESTS],
  },
  {
    id: 'M83',
    fault: 'a late repetition of a copy brings back what was deleted since',
    file: FENCE,
    search: "verdict: stored.sequence === UNDER_COPY ? 'applied' : 'already_applied'",
    replace: "verdict: 'applied'",
    commands: [FENCE_TESTS],
  },
  {
    id: 'M84',
    fault: 'the second half of a write that became several operations is left out',
    file: FENCE,
    search: 'if (group !== undefined && isSameWrite(group, lane)) return verdict;',
    replace: '',
    commands: [FENCE_TESTS],
  },
  {
    id: 'M86',
    fault: 'a clear of an unknown session refuses instead of raising the fence',
    file: BULK_DELETE,
    search: 'if (row?.is_known !== true && lane === undefined)',
    replace: 'if (row?.is_known !== true)',
    commands: [FENCE_SQL_TESTS],
  },
  {
    id: 'M87',
    fault: 'a create under a known id with other content is answered as if it was stored',
    file: CREATE,
    search: "when e.memory_id is not null then 'duplicate'",
    replace: "when e.memory_id is not null then 'same'",
    commands: [vitest('test/integration/orchestrator/actions.test.ts')],
  },
  {
    id: 'M88',
    fault: 'a batch of creates takes effect although a lane of it stands higher',
    file: PLAIN,
    search: "const LANES_PASSED = 'all_created((select count(*) from passed), cardinality($2::text[]))';",
    replace:
      "const LANES_PASSED = 'all_created((select count(*) from passed), (select count(*) from passed))';",
    commands: [FENCE_SQL_TESTS],
  },
  {
    id: 'M89',
    fault: 'another body under a known request id is answered with the first answer',
    file: KEYS,
    search: "    hash.update(`\\n${JSON.stringify(name)}:`).update(raw[name] ?? '');",
    replace: '    hash.update(`\\n${JSON.stringify(name)}:`);',
    commands: [vitest('test/integration/orchestrator/idempotency.test.ts')],
  },
  {
    id: 'M165',
    fault: 'a write of an older epoch passes the fence of the fast statement',
    file: FENCE,
    search: 'where excluded.epoch >= l.epoch and (excluded.generation',
    replace: 'where (excluded.generation',
    commands: [vitest('test/integration/orchestrator/close-sequence.test.ts')],
  },
  {
    id: 'M166',
    fault: 'a write gets the answer of another write with the same sequence',
    file: LANE_WRITE,
    search: 'operationId !== undefined && operationId === row.operationId',
    replace: 'operationId !== undefined',
    commands: [vitest('test/integration/orchestrator/lane-writes.test.ts')],
  },
  {
    id: 'M167',
    fault: 'a session that another transaction makes meanwhile counts as absent',
    file: LANE_WRITE,
    search: 'if (needsIsolation(requirements)) await session.script(ISOLATED);',
    replace: '',
    commands: [LANE_RACES],
  },
  {
    id: 'M168',
    fault: 'another lane ends a session while a write requires it open',
    file: 'src/orchestrator/memories/requirements.ts',
    search: 'order by session_id for no key update',
    replace: 'order by session_id',
    commands: [LANE_RACES],
  },
  {
    id: 'M169',
    fault: 'a sequence is closed while its write runs, which then takes effect',
    file: 'src/orchestrator/memories/lane-row.ts',
    search: 'from memory_lanes where key = $1 for update',
    replace: 'from memory_lanes where key = $1',
    commands: [LANE_RACES],
  },
  {
    id: 'M90',
    fault: 'the end of a copy makes a lane clean in the journal that became dirty meanwhile',
    file: COPY_SQL,
    search: "condition = case condition when 'copying' then 'clean' else condition end,",
    replace: "condition = 'clean',",
    commands: [CONTRACT],
  },
  {
    id: 'M91',
    fault: 'a home copies a lane that another replica found uncertain before it was told',
    file: COPY_SQL,
    search: ' and lanes.uncertain_count <= lanes.foreign_seen\n',
    replace: '\n',
    commands: [CONTRACT],
  },
  {
    id: 'M92',
    fault: 'a replica copies a lane whose home lives',
    file: COPY_SQL,
    search: "lanes.primary_backend = 'legacy' and not ${claimedByOther('lanes', '$4')} and",
    replace: "lanes.primary_backend = 'legacy' and",
    commands: [CONTRACT],
  },
  {
    id: 'M93',
    fault: 'two replicas have a write of one lane open at the same time',
    file: COMMIT_SQL,
    search: "  where not coalesce(${busyElsewhere('lanes', '$8')}, false)`;",
    replace: '  where $8::uuid is not null`;',
    commands: [CONTRACT],
  },
  {
    id: 'M189',
    fault: 'a copy reads a lane while another replica has not recorded that a write took effect',
    file: JOURNAL_SQL,
    search: ' and not ${AWAITS_OUTCOME_ELSEWHERE}',
    replace: '',
    commands: [CONTRACT],
  },
  {
    id: 'M94',
    fault: 'a lane that a dead replica was copying stays in copying for ever',
    file: COMMIT_SQL,
    search:
      "when lanes.condition = 'copying' and lanes.claim_replica is distinct from $8 and not ${CLAIMED_BY_OTHER} then 'dirty'",
    replace: "when lanes.condition = 'none' then 'dirty'",
    commands: [CONTRACT],
  },
  {
    id: 'M95',
    fault: 'replicas lock lanes in the order in which their writes came, and deadlock',
    file: COMMIT_SQL,
    search: '  from unnest($1::text[], $2::text[], $3::text[]) as asked(key, service, owner) order by key\n',
    replace: '  from unnest($1::text[], $2::text[], $3::text[]) as asked(key, service, owner)\n',
    commands: [vitest('test/integration/storage/journal-intents.test.ts')],
  },
  {
    id: 'M96',
    fault: 'the open write of a dead replica is never settled, and its lane stays closed',
    file: RECOVERY_SQL,
    search:
      "where l.condition <> 'clean' and ${isAbout('$1', 'l.key')} and ${isServed('$2', 'l.service')} and ${ABANDONED}",
    replace:
      "where l.condition = 'none' and ${isAbout('$1', 'l.key')} and ${isServed('$2', 'l.service')} and ${ABANDONED}",
    commands: [CONTRACT],
  },
  {
    id: 'M97',
    fault: 'an unknown outcome of a dead replica leaves its lane clean',
    file: RECOVERY_SQL,
    search: "o.sequence > l.settled_sequence and o.outcome = 'unknown'`;",
    replace: "o.sequence > l.settled_sequence and o.outcome = 'none'`;",
    commands: [CONTRACT],
  },
  {
    id: 'M98',
    fault: 'what a living replica has under way is called uncertain by another one',
    file: RECOVERY_SQL,
    search: "const ABANDONED = `${LACKS_OUTCOME} and ${gone('w.replica')}`;",
    replace: 'const ABANDONED = `${LACKS_OUTCOME}`;',
    commands: [CONTRACT],
  },
  {
    id: 'M99',
    fault: 'a delivery that was recorded late takes the progress of its lane back',
    file: PROGRESS,
    search: 'delivered_sequence = greatest(delivered_sequence, moved.delivered),\n',
    replace: 'delivered_sequence = moved.delivered,\n',
    commands: [CONTRACT, vitest('test/integration/storage/journal.test.ts')],
  },
  {
    id: 'M100',
    fault: 'two intents of one lane share a commit and get one sequence',
    file: GROUP,
    search: 'const fits = hasRoom && !(key !== undefined && keys.has(key));',
    replace: 'const fits = hasRoom;',
    commands: [vitest('test/unit/storage/group-commit.test.ts')],
  },
  {
    id: 'M101',
    fault: 'a write passes an earlier one of its lane that waits for the next commit',
    file: GROUP,
    search: '      if (key !== undefined) keys.add(key);',
    replace: '      if (key !== undefined && fits) keys.add(key);',
    commands: [vitest('test/unit/storage/group-commit.test.ts')],
  },
  {
    id: 'M102',
    fault: 'a commit of many large requests takes the memory of the process',
    file: GROUP,
    search: '(batch.length < batchLimit && size <= room)',
    replace: 'batch.length < batchLimit',
    commands: [vitest('test/unit/storage/group-commit.test.ts')],
  },
];
