import { vitest, type Mutant } from '../mutant.ts';

const SHARES = 'src/engine/flips/shares.ts';
const REVERSE_SENDS = 'src/storage/reverse-sends.ts';
const WRITES = 'src/storage/service-writes.ts';
const WAY_BACK = 'src/storage/way-back.ts';
const RESTORED = 'src/engine/flips/restored-backups.ts';
const DELIVERER = 'src/engine/reverse/reverse-deliverer.ts';

const SHARE_TESTS = vitest('test/unit/engine/flips/shares.test.ts');
const BACKLOG_TESTS = vitest('test/unit/engine/writes/backlog-limit.test.ts');
const DELIVERER_TESTS = vitest('test/unit/engine/reverse/reverse-deliverer.test.ts');
const RESTORED_TESTS = vitest('test/unit/engine/flips/restored-backups.test.ts');
const CONTRACT = vitest('test/sim/journal-contract.test.ts');

/** Faults in flips, reverse delivery, the way back, read-only services, and restored backups. */
export const FLIP_MUTANTS: readonly Mutant[] = [
  {
    id: 'M170',
    fault:
      'a process that starts without the journal believes an old share, and spills writes of flipped lanes',
    file: SHARES,
    search: 'return ageMs >= 0 && ageMs < BELIEVED_MS ? percentage : widest(percentage);',
    replace: 'return ageMs >= 0 ? percentage : widest(percentage);',
    commands: [SHARE_TESTS],
  },
  {
    id: 'M171',
    fault: 'a replica that leaves keeps its note, and the share rises without it',
    file: SHARES,
    search: 'widest(percentage)]));',
    replace: 'percentage]));',
    commands: [SHARE_TESTS],
  },
  {
    id: 'M172',
    fault: 'a share leaves out the lanes of its last bucket, whose writes are then spilled',
    file: SHARES,
    search: 'cutoverBucket(service, key) <= percentage',
    replace: 'cutoverBucket(service, key) < percentage',
    commands: [SHARE_TESTS],
  },
  {
    id: 'M173',
    fault: 'writes that wait because legacy is read-only cost their lane its way back',
    file: 'src/engine/writes/backlog-limit.ts',
    search: 'if (this.#waitsOnPurpose(lane)) return false;',
    replace: '',
    commands: [BACKLOG_TESTS],
  },
  {
    id: 'M174',
    fault: 'the journal lets a lane of a read-only service lose its way back',
    file: REVERSE_SENDS,
    search: " and l.primary_backend = 'orchestrator' and ${LAST_FOR_LEGACY} is null",
    replace: " and l.primary_backend = 'orchestrator'",
    commands: [CONTRACT],
  },
  {
    id: 'M175',
    fault: 'an opened service forgets what the journal kept for legacy, and loses ways back',
    file: WRITES,
    search:
      'on conflict (lane_id) do update set sequence = excluded.sequence\n)\nselect service from reopened',
    replace: 'on conflict (lane_id) do nothing\n)\nselect service from reopened',
    commands: [CONTRACT],
  },
  {
    id: 'M176',
    fault: 'a read-only legacy gets a write that came after the record',
    file: REVERSE_SENDS,
    search: '  and coalesce(asked.sequence <= ${LAST_FOR_LEGACY}, true)\n',
    replace: '',
    commands: [CONTRACT],
  },
  {
    id: 'M177',
    fault: 'two replicas send the same attempt to legacy',
    file: REVERSE_SENDS,
    search: '\n  and reverse_sends.attempts = excluded.attempts - 1',
    replace: '',
    commands: [CONTRACT],
  },
  {
    id: 'M178',
    fault: 'a lane returns although legacy would lack its writes',
    file: WAY_BACK,
    search: "l.delivered_sequence < l.sequence then 'would_lose'",
    replace: "l.delivered_sequence > l.sequence then 'would_lose'",
    commands: [CONTRACT],
  },
  {
    id: 'M179',
    fault: 'a write whose send waits for a person counts as sent',
    file: DELIVERER,
    search: "if (sent === 'halted') return queue.block(lane, write.sequence);",
    replace: "if (sent === 'halted') return this.#parts.through(lane, write);",
    commands: [DELIVERER_TESTS],
  },
  {
    id: 'M180',
    fault: 'a lane that waits for a decision about a restored database answers',
    file: RESTORED,
    search: '    if (this.#open.has(lane.key)) return Promise.reject(waitsForPerson());\n',
    replace: '',
    commands: [RESTORED_TESTS],
  },
  {
    id: 'M187',
    fault: 'a write that waits for a connection goes to an orchestrator that was restored meanwhile',
    file: 'src/backends/zmq-channel.ts',
    search: '          parts.onDown?.();\n',
    replace: '',
    commands: [vitest('test/integration/backends/orchestrator.test.ts')],
  },
  {
    id: 'M181',
    fault: 'lanes are flipped while a replica may have spilled writes',
    file: 'src/storage/flips.ts',
    search:
      '\n  and not exists (select from spills where open_since is not null and (services is null or $3 = any(services)))',
    replace: '',
    commands: [CONTRACT],
  },
];
