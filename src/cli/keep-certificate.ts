import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../domain/errors.ts';
import {
  type Certificate,
  checkPrivateKey,
  faultsOf,
  fingerprintOf,
  parseCertificate,
  signCertificate,
  type Statement,
} from '../operator/certificate/certificate.ts';
import { counted } from '../operator/views/figures.ts';
import { fileProblem } from '../shared/file-problem.ts';
import { readAskedFile, writeAskedFile } from './asked-file.ts';
import { callProxy, parsed, type ProxyAddress } from './operator-client.ts';

const NOT_VALID = 2;

const FAULTS: Readonly<Record<ReturnType<typeof faultsOf>[number], string>> = {
  changed: 'it was changed after it was signed',
  other_key: 'it was signed with another key than the given one',
  wrong_root: 'its root digest does not match its list of lanes',
};

/** Checks a certificate, with the signer's public key if one is given. */
export async function verify(
  file: string,
  { key, json }: { readonly key?: string; readonly json?: true },
): Promise<void> {
  const certificate = certificateIn(file);
  const faults = faultsWith(certificate, key);
  const signer = fingerprintOf(certificate.signature.public_key);
  if (json === true) {
    const proves = faults.length > 0 ? 'nothing' : key === undefined ? 'unchanged' : 'signer';
    console.log(JSON.stringify({ valid: faults.length === 0, proves, signer, faults }));
  } else console.log(told(certificate, { faults, file, key }));
  if (faults.length > 0) process.exitCode = NOT_VALID;
}

/** @throws Error naming the file */
function certificateIn(file: string): Certificate {
  const text = readAskedFile(
    { option: '<file>', path: file },
    'get it with: crossfade certificate show SERVICE --out FILE',
  );
  try {
    return parseCertificate(text);
  } catch (error) {
    throw new Error(`${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws Error naming the file of the key */
function faultsWith(certificate: Certificate, key: string | undefined): ReturnType<typeof faultsOf> {
  const pem =
    key === undefined
      ? undefined
      : readAskedFile(
          { option: '--key', path: key },
          'it is the .pub file of crossfade certificate key create',
        );
  try {
    return faultsOf(certificate, pem);
  } catch (error) {
    throw new Error(`--key: ${key}: ${messageOf(error)}`, { cause: error });
  }
}

export interface IssueOptions extends ProxyAddress {
  readonly person?: string;
  readonly reason?: string;
  readonly key: string;
  readonly out: string;
  readonly html?: string;
  readonly json?: true;
}

/** Signs what the certificate of a completed service says, stores the signature in the proxy, and writes the files. */
export async function issue(
  service: string,
  { key, person, reason, ...options }: IssueOptions,
): Promise<void> {
  const privateKey = readPrivateKey(key);
  const params = { service };
  const { statement } = parsed(await callProxy(options, 'showStatement', { params }));
  const { signature } = signCertificate(JSON.parse(statement) as Statement, privateKey);
  const { public_key: publicKey, value } = signature;
  await callProxy(options, 'keepCertificate', {
    params,
    body: { person, reason, public_key: publicKey, signature: value },
  });
  await show(service, options);
}

/** @throws Error naming the file */
export function readPrivateKey(file: string): string {
  const hint = 'create it with: crossfade certificate key create';
  const pem = readAskedFile({ option: '--key', path: file }, hint);
  try {
    checkPrivateKey(pem);
    return pem;
  } catch (error) {
    throw new Error(`--key: ${file}: ${messageOf(error)}`, { cause: error });
  }
}

interface ShowOptions extends ProxyAddress {
  readonly out?: string;
  readonly html?: string;
  readonly json?: true;
}

/** Gets the certificate of a completed service, and prints it or writes it to files. */
export async function show(service: string, { out, html, json, ...at }: ShowOptions): Promise<void> {
  const params = { service };
  const text = await callProxy(at, 'showCertificate', { params });
  if (out !== undefined) writeAskedFile({ option: '--out', path: out }, `${text}\n`);
  if (html !== undefined)
    writeAskedFile({ option: '--html', path: html }, await callProxy(at, 'showCertificatePage', { params }));
  if (json === true || (out === undefined && html === undefined)) return console.log(text);
  const { root } = parseCertificate(text).statement;
  const files = [out, html].filter((file) => file !== undefined).join(' and ');
  console.log(
    `${service} is complete: ${counted(root.lanes, 'lane')} and ${counted(root.items, 'item')} in ${files}, root ${root.digest}`,
  );
}

interface Verified {
  readonly faults: ReturnType<typeof faultsOf>;
  readonly file: string;
  readonly key: string | undefined;
}

function told({ statement, signature }: Certificate, { faults, file, key }: Verified): string {
  const signer = fingerprintOf(signature.public_key);
  if (faults.length > 0) return `${file} is not valid: ${faults.map((fault) => FAULTS[fault]).join('; ')}.`;
  const { service, completed_at: at, root } = statement;
  const what = `${service} was completed at ${at}: ${counted(root.lanes, 'lane')}, ${counted(root.items, 'item')}, root ${root.digest}.`;
  return key === undefined
    ? `${file} is unchanged since it was signed with the key ${signer}.\n${what}\nThis does not prove who signed it: give the signer's public key with --key.`
    : `${file} is valid, and signed by the owner of ${key} (key ${signer}).\n${what}`;
}

/** Creates a key pair. Never overwrites an existing file, because the key may be in use. */
export async function createKey(
  name: string,
  { folder, json }: { readonly folder: string; readonly json?: true },
): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const [publicFile, secretFile] = [join(folder, `${name}.pub`), join(folder, `${name}.key`)];
  await writeNew(secretFile, privateKey.export({ format: 'pem', type: 'pkcs8' }), 0o600);
  await writeNew(publicFile, publicKey.export({ format: 'pem', type: 'spki' }), 0o644);
  const fingerprint = fingerprintOf(publicKey.export({ format: 'der', type: 'spki' }).toString('base64'));
  console.log(
    json === true
      ? JSON.stringify({ fingerprint, public_file: publicFile, secret_file: secretFile })
      : `Created ${publicFile} (share) and ${secretFile} (keep secret). Fingerprint: ${fingerprint}`,
  );
}

async function writeNew(path: string, text: string | Buffer, mode: number): Promise<void> {
  try {
    await writeFile(path, text, { mode, flag: 'wx' });
  } catch (cause) {
    throw new Error(`--folder: cannot write ${path}: ${fileProblem(cause)}`, { cause });
  }
}
