import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect } from 'react';

/** What the editors do not do by themselves. */
export function Editors() {
  useLinesWrap();
  useSystemTheme();
  return null;
}

/** Tokens and cursors are long, and must be seen whole. */
function useLinesWrap() {
  const editors = [
    useGraphiQL((state) => state.queryEditor),
    useGraphiQL((state) => state.variableEditor),
    useGraphiQL((state) => state.headerEditor),
  ];
  useEffect(() => editors.forEach((editor) => editor?.updateOptions({ wordWrap: 'on' })), editors);
}

/**
 * When the system goes from light to dark while the page is open, GraphiQL's own styles follow, and so must the editors.
 * Whoever chose a theme in the settings keeps it.
 */
function useSystemTheme() {
  const chosen = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  useEffect(() => {
    if (chosen) return;
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const follow = () => setTheme(null);
    dark.addEventListener('change', follow);
    return () => dark.removeEventListener('change', follow);
  }, [chosen, setTheme]);
}
