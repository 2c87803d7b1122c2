/** The licences beside a bundle: each bundled package is there with its text, and one without a text fails the build. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { thirdPartyNotices } from '../../scripts/licences.ts';

const MIT = 'The MIT License\n\nCopyright (c) Somebody\n\nPermission is hereby granted, free of charge ...';
let root: string;

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const addPackage = (name: string, files: Readonly<Record<string, string>>, license = 'MIT'): string => {
  write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.2.3', license }));
  for (const [file, text] of Object.entries(files)) write(`node_modules/${name}/${file}`, text);
  return `node_modules/${name}/lib/index.js`;
};

before(() => {
  root = mkdtempSync(join(tmpdir(), 'pg2kinesis-licences-'));
});
after(() => rmSync(root, { recursive: true, force: true }));

describe('thirdPartyNotices', () => {
  it('names each package once, with its own text, its notice too, and holds a text once', async () => {
    const inputs = [
      'lambda/handler.ts',
      addPackage('one', { LICENSE: `${MIT}\r\n` }),
      addPackage('@some/two', { 'license.md': MIT }),
      addPackage('@some/two', { 'license.md': MIT }).replace('index', 'other'),
      addPackage('three', { 'LICENSE.txt': 'Apache', NOTICE: 'Three is made by Three.' }, 'Apache-2.0'),
      addPackage('one/node_modules/four', { COPYING: 'Four may be copied.' }),
    ];
    assert.equal(
      await thirdPartyNotices(inputs, root),
      `This program contains the following packages, each under the licence below its name.

@some/two 1.2.3 (MIT)
one 1.2.3 (MIT)

${MIT}

${'-'.repeat(80)}

one/node_modules/four 1.2.3 (MIT)

Four may be copied.

${'-'.repeat(80)}

three 1.2.3 (Apache-2.0)

Apache

Three is made by Three.
`,
    );
  });

  it('takes the licence from a README that holds all of it', async () => {
    const readme = `# five\n\n## Use\n\nSo.\n\n## License\n\n${MIT}\n\n## Thanks\n\nTo all.\n`;
    const text = await thirdPartyNotices([addPackage('five', { 'README.md': readme })], root);
    assert.ok(text.endsWith(`five 1.2.3 (MIT)\n\n${MIT}\n`), text);
  });

  it('knows the text of packages that ship without it, as long as their licence is what it was', async () => {
    const middy = addPackage('@middy/core', { 'README.md': '## License\n\nLicensed under [MIT License](LICENSE).' });
    assert.match(await thirdPartyNotices([middy], root), /the Middy team\n\nPermission is hereby granted/);
    addPackage('@middy/core', {}, 'GPL-3.0');
    await assert.rejects(thirdPartyNotices([middy], root), /@middy\/core 1\.2\.3 \(GPL-3\.0\)/);
  });

  it('fails for packages without a text, and names all of them', async () => {
    const inputs = [addPackage('bare', { 'README.md': '## License\n\nMIT\n' }), addPackage('empty', { LICENSE: ' ' })];
    await assert.rejects(
      thirdPartyNotices(inputs, root),
      /no licence text, so nothing was built: bare 1\.2\.3 \(MIT\), empty 1\.2\.3 \(MIT\)\. Find/,
    );
  });
});
