import { REPLICAS } from './links.ts';
import type { World } from './world.ts';

/** Characters of each replica's last output. */
const OUTPUT_SHOWN = 3_000;
const LANES_SHOWN = 3;
const WRITES_SHOWN = 60;

/** The name of a lane, wherever it is mentioned. */
const LANE = /(?:session|contextual|jarvis)-memory\/r\d+-\d+/g;

interface Row {
  readonly line: string;
}

/** What to look at after a failing round: the lanes' rows in the journal and what the replicas said last. */
export async function evidenceOf(world: World, findings: readonly string[]): Promise<string> {
  const lanes = new Set(findings.flatMap((finding) => finding.match(LANE) ?? []));
  const journals = await Promise.all([...lanes].slice(0, LANES_SHOWN).map((lane) => journalOf(world, lane)));
  const outputs = REPLICAS.map(
    (replica) => `--- ${replica} replica said:\n${world.replicas[replica].output().slice(-OUTPUT_SHOWN)}`,
  );
  const stores = await Promise.all([...lanes].slice(0, LANES_SHOWN).map((lane) => storeOf(world, lane)));
  return [
    ...journals,
    ...stores,
    ...outputs,
    `--- orchestrator said:\n${world.orchestrator.output().slice(-OUTPUT_SHOWN)}`,
  ].join('\n');
}

async function journalOf(world: World, lane: string): Promise<string> {
  try {
    const rows = await world.journal<Row>(
      `select row_to_json(l)::text as line from lanes l where key = '${lane}'
       union all select * from (
         select concat_ws(' ', w.sequence, w.action, w.accepted_at::time, o.outcome, o.at::time, left(w.replica::text, 4), right(w.request, 60))
         from lanes l join writes w on w.lane_id = l.id
           left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
         where l.key = '${lane}' order by w.sequence desc limit ${WRITES_SHOWN}) newest`,
    );
    return `--- journal of ${lane}, newest first:\n${rows.map(({ line }) => line).join('\n')}`;
  } catch (error) {
    return `--- the journal cannot be read: ${String(error)}`;
  }
}

/** What the orchestrator holds of a lane, deleted items among it, and where the lane's fence stands. */
async function storeOf(world: World, lane: string): Promise<string> {
  try {
    const rows = await world.orchestratorStore.query<Row>(
      `select concat_ws(' ', 'fence', epoch, generation, sequence, set_by, operation_id) as line from memory_lanes where key = $1
       union all select * from (
         select concat_ws(' ', position, memory_id, 'v' || version, case when is_active then '' else 'deleted' end,
           updated_at::time, deleted_generation, deleted_sequence, lane_key is not null, right(content_text, 30))
         from memory_entries where session_id like '%' || $2 order by position desc limit ${WRITES_SHOWN}) newest`,
      [lane, lane.slice(lane.indexOf('/') + 1)],
    );
    return `--- orchestrator's rows of ${lane}, last first:\n${rows.map(({ line }) => line).join('\n')}`;
  } catch (error) {
    return `--- the orchestrator's rows cannot be read: ${String(error)}`;
  }
}
