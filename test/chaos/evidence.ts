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
  return [
    ...journals,
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
