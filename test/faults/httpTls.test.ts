import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { DEFAULT_CIPHERS, getCACertificates, setDefaultCACertificates, type TlsOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { delays, fromPull, poolMap, runFlow, withRetry, type DeadLetter } from 'sluice';
import * as sound from 'sluice/http';
import { removeMutants, type Sabotage } from '../support/mutant.ts';
import { certificate } from './http/certificates.ts';
import { mustFail, outcome, twin, type Http } from './http/twin.ts';

const host = '127.0.0.1';
const authority = certificate({ host: 'an authority', isAuthority: true });
const stranger = certificate({ host: 'a stranger', isAuthority: true });
const good = certificate({ host, issuer: authority });

const trusted = getCACertificates('default');
beforeAll(() => setDefaultCACertificates([...trusted, authority.cert]));
afterAll(async () => {
  setDefaultCACertificates(trusted);
  await removeMutants();
});

const https = (options: TlsOptions): Server =>
  createHttpsServer(options, (_request, answer) => answer.end('fine'));
const fromStranger = certificate({ host, issuer: stranger });
const old: TlsOptions = {
  maxVersion: 'TLSv1.1',
  minVersion: 'TLSv1',
  ciphers: `${DEFAULT_CIPHERS}:@SECLEVEL=0`,
};

/** Servers that no further attempt would reach, and what Node says of them. */
const hopeless: [what: string, cause: RegExp, server: () => Server][] = [
  ['a certificate that signs itself', /^DEPTH_ZERO_SELF_SIGNED_CERT$/, () => https(certificate({ host }))],
  [
    'a certificate of an authority that nobody knows',
    /^UNABLE_TO_VERIFY_LEAF_SIGNATURE$/,
    () => https(fromStranger),
  ],
  [
    'the same, which shows its authority',
    /^SELF_SIGNED_CERT_IN_CHAIN$/,
    () => https({ ...fromStranger, cert: fromStranger.cert + stranger.cert }),
  ],
  [
    'a certificate that has expired',
    /^CERT_HAS_EXPIRED$/,
    () => https(certificate({ host, issuer: authority, days: [-2, -1] })),
  ],
  [
    'a certificate that is not valid yet',
    /^CERT_NOT_YET_VALID$/,
    () => https(certificate({ host, issuer: authority, days: [1, 2] })),
  ],
  [
    'a certificate of another host',
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    () => https(certificate({ host: 'elsewhere.example', issuer: authority })),
  ],
  [
    'a certificate of another address',
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    () => https(certificate({ host: '127.0.0.2', issuer: authority })),
  ],
  [
    'a certificate that is for clients',
    /^INVALID_PURPOSE$/,
    () => https(certificate({ host, issuer: authority, purpose: 'client' })),
  ],
  // By TLS 1.3 the client is done by then, and sees no more than that its request got no answer.
  [
    'a server that asks for a certificate of ours, by TLS 1.2',
    /^ERR_SSL_/,
    () => https({ ...good, requestCert: true, maxVersion: 'TLSv1.2' }),
  ],
  ['a server of TLS 1.1', /^ERR_SSL_/, () => https({ ...good, ...old })],
  [
    'a server of plain HTTP',
    /^(ERR_SSL_|EPROTO)/,
    () => createHttpServer((_request, answer) => answer.end('fine')),
  ],
];

/** Listens, and counts connections. */
async function started(server: Server) {
  let connections = 0;
  server.on('connection', (socket) => {
    connections += 1;
    socket.on('error', () => undefined);
  });
  await once(server.listen(0, host), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://${host}:${port}/path?key=hunter2`,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

describe('F39: TLS that fails', () => {
  async function check({ HttpConnections, classifyHttpError }: Http, cases = hopeless): Promise<void> {
    for (const [what, cause, server] of cases) {
      await using target = await started(server());
      await using http = new HttpConnections({ timeoutMs: 5_000 });
      const dead: DeadLetter<string>[] = [];
      const ask = withRetry(
        http.text((method: string) => ({ url: target.url, method })),
        delays([1, 1, 1]),
      );
      const flow = fromPull(['GET', 'POST']).pipe(
        poolMap(ask, { concurrency: 1, onFailure: (letter) => dead.push(letter) }),
      );
      expect(await runFlow(flow), what).toMatchObject({ end: 'completed', delivered: 0, dead: 2 });
      expect(target.connections(), what).toBe(2);
      for (const { value: method, attempts, error } of dead) {
        expect(attempts, what).toBe(1);
        expect(error, what).toMatchObject({
          code: 'HTTP_CONNECTION',
          phase: 'tls',
          retryable: false,
          method,
        });
        const { message, cause: found } = error as Error & { cause: Error & { code: string } };
        expect(found, what).toBeInstanceOf(Error);
        expect(found.code, what).toMatch(cause);
        const url = target.url.replace(/\?.*/, '');
        expect(message).toBe(`${method} ${url}: connection failed (tls, ${found.code})`);
        expect(classifyHttpError(error), what).toBe('fatal');
      }
      expect(http.stats, what).toEqual({ open: 0, busy: 0, waiting: 0 });
    }
  }

  test('a certificate that is in order is trusted', async () => {
    await using target = await started(https(good));
    await using http = new sound.HttpConnections();
    expect(await http.text(() => target.url)(0)).toBe('fine');
  });
  test.each(hopeless)('%s: it is said so once, and not tried again', (...one) => check(sound, [one]));

  /** A handshake that breaks off, or takes too long, may succeed the next time. */
  test('a handshake that is cut is tried again', async () => {
    const cut = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    await using target = await started(cut);
    await using http = new sound.HttpConnections();
    const error = await outcome(http.text(() => ({ url: target.url, method: 'POST' }))(0), 5_000);
    expect(error).toMatchObject({ code: 'HTTP_CONNECTION', phase: 'tls', retryable: true });
    expect((error as { cause: unknown }).cause).toMatchObject({ code: 'ECONNRESET' });
    expect(sound.classifyHttpError(error)).toBe('retry');
  });

  const twins: Record<string, Sabotage> = {
    'everything is worth another attempt': {
      file: 'src/connectors/http/failures.ts',
      find: 'retryable && !hopeless.test(code)',
      replace: 'retryable',
    },
    'the phase is not kept': {
      file: 'src/connectors/http/socket.ts',
      find: 'watchPhase(socket, options);',
      replace: '',
    },
    'the cause is not kept': {
      file: 'src/errors.ts',
      find: 'connection failed (${reason})`, { cause });',
      replace: 'connection failed (${reason})`);',
    },
    'what a certificate is for does not count': {
      file: 'src/connectors/http/failures.ts',
      find: '|INVALID_|',
      replace: '|',
    },
    'nobody looks at certificates': {
      file: 'src/connectors/http/socket.ts',
      find: 'allowH2: false, timeout: 0',
      replace: 'allowH2: false, timeout: 0, rejectUnauthorized: false',
    },
  };
  test.each(Object.entries(twins))('twin: %s', async (_what, sabotage) => {
    await mustFail(check(await twin(sabotage)));
  });
});
