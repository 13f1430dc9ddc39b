"""The console's few style rules; colours follow the system's light or dark mode."""

CSS = """
:root { --line: #d5dcda; --soft: #f3f6f5; --warn: #fff4e0; --warn-text: #6b4200; --grey: #5c6b73; }
body.body--dark { --line: #3a4442; --soft: #1c2321; --warn: #3d2d10; --warn-text: #ffd9a0;
  --grey: #a3b1b0; }
body { --q-primary: #1f6f5c !important; --q-positive: #2e7d32 !important;
  --q-negative: #c62828 !important; }
body.body--dark { --q-primary: #35a184 !important; --q-positive: #66bb6a !important;
  --q-negative: #ef5350 !important; }
body { font-family: Roboto, system-ui, "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC",
  "Microsoft YaHei", sans-serif; }
.nicegui-content { max-width: 84rem; margin: 0 auto; padding: 0 1rem 3rem; gap: 1rem;
  align-items: stretch; }
.console-header { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1.5rem;
  padding: .75rem 0; border-bottom: 1px solid var(--line); width: 100%; }
.console-brand { display: flex; align-items: baseline; gap: .5rem; text-decoration: none;
  color: inherit; }
.console-name { font-weight: 600; font-size: 1.1rem; white-space: nowrap; }
.console-line { color: var(--grey); font-size: .85rem; white-space: nowrap; }
.console-navs { display: flex; flex-wrap: wrap; gap: .25rem 1rem; flex: 1 1 auto; }
.console-nav { text-decoration: none; color: inherit; padding: .15rem 0; }
.console-here { border-bottom: 2px solid var(--q-primary); font-weight: 600; }
.console-who { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1rem;
  color: var(--grey); font-size: .9rem; }
.console-leave { border: 1px solid var(--line); border-radius: 4px; padding: .1rem .6rem;
  cursor: pointer; background: none; color: inherit; }
.console-banner { background: var(--warn); color: var(--warn-text); padding: .6rem .9rem;
  border-radius: 4px; width: 100%; }
.console-problem { border-left: 4px solid var(--q-negative); background: var(--soft);
  padding: .6rem .9rem; width: 100%; gap: .2rem; }
.console-empty { color: var(--grey); background: var(--soft); padding: .9rem; border-radius: 4px;
  width: 100%; }
.console-note { color: var(--grey); font-size: .88rem; }
.console-h1 { font-size: 1.4rem; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
.console-h2 { font-size: 1.1rem; font-weight: 600; margin-top: .75rem; }
.console-facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr));
  gap: .6rem 1.2rem; width: 100%; }
.console-fact-name { color: var(--grey); font-size: .82rem; }
.console-fact-value { font-size: 1.05rem; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.console-table { width: 100%; }
.console-table th { white-space: normal; word-break: keep-all; vertical-align: bottom;
  font-weight: 600; min-width: max-content; }
.console-table th:not(.sorted) .q-table__sort-icon { display: none; }
.console-table td { font-variant-numeric: tabular-nums; }
.console-table td.console-wrap { white-space: normal; min-width: 13rem; }
.console-bar { display: flex; height: 1.1rem; width: 100%; border-radius: 4px; overflow: hidden;
  background: var(--soft); }
.console-bar > div { min-width: 2px; }
.console-legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .9rem; }
.console-legend > div { display: flex; align-items: center; gap: .35rem; }
.console-dot { width: .7rem; height: .7rem; border-radius: 2px; display: inline-block; }
.console-log { height: 20rem; width: 100%; border: 1px solid var(--line); border-radius: 4px;
  font-size: .82rem; background: var(--soft); }
.console-spec { white-space: pre; overflow-x: auto; width: 100%; margin: 0; padding: .75rem;
  font-family: ui-monospace, monospace; font-size: .85rem; background: var(--soft); }
.console-editor textarea { font-family: ui-monospace, monospace; font-size: .88rem;
  line-height: 1.45; white-space: pre; overflow-x: auto; }
.console-events { width: 100%; max-height: 18rem; overflow-y: auto; font-size: .9rem; }
.console-event { display: flex; gap: .8rem; padding: .1rem 0; }
.console-event-at { color: var(--grey); white-space: nowrap; font-variant-numeric: tabular-nums; }
.console-charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr));
  gap: 1rem; width: 100%; }
.console-charts > div { display: flex; flex-direction: column; gap: .4rem; min-width: 0; }
.console-chart { height: 16rem; width: 100%; }
.console-sign-in { max-width: 26rem; margin: 12vh auto 0; width: 100%; gap: 1rem; }
.console-sign-in form { display: flex; flex-direction: column; gap: 1rem; width: 100%; }
"""
