"""The commands of Slurm that a script calls inside its job, for one machine: srun and scontrol."""

# Options are taken as srun takes them; what has no meaning on one machine is passed over in silence
# (binding, resources of a step), and what would change the result is refused with a sentence.
SRUN = r"""#!/bin/sh
# srun, as `intertie run` brings it: copies of a command on this machine.
tasks=${SLURM_NTASKS:-1} label= out= err= folder= number=
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    -n|--ntasks|--ntasks-per-node) number=$2; shift ;;
    --ntasks=*|--ntasks-per-node=*) number=${1#*=} ;;
    -n*) number=${1#-n} ;;
    -o|--output) out=$2; shift ;;
    --output=*) out=${1#*=} ;;
    -e|--error) err=$2; shift ;;
    --error=*) err=${1#*=} ;;
    -D|--chdir) folder=$2; shift ;;
    --chdir=*) folder=${1#*=} ;;
    -l|--label) label=1 ;;
    --multi-prog|--het-group|--het-group=*|--pack-group|--pack-group=*)
      echo "srun: $1 is not there: one machine runs copies of one command" >&2; exit 1 ;;
    --mpi|--mpi=*)
      case $1 in --mpi) mpi=$2; shift ;; *) mpi=${1#*=} ;; esac
      [ "$mpi" = none ] || [ "${number:-$tasks}" = 1 ] || {
        echo "srun: copies do not find each other by MPI here; use mpirun -np $tasks" >&2
      } ;;
    -N|-c|-p|-t|-J|-A|-w|-x|-m|-G|-C|-q|-d|-M|-i|-r|-L|-T|-W|\
    --nodes|--cpus-per-task|--partition|--time|--job-name|--account|--nodelist|--exclude|--gres|\
    --gpus|--gpus-per-node|--gpus-per-task|--gpu-bind|--mem|--mem-per-cpu|--mem-per-gpu|--cpu-bind|\
    --mem-bind|--distribution|--hint|--export|--input|--qos|--constraint|--relative|--threads|\
    --cpu-freq|--kill-on-bad-exit|--signal|--reservation|--container-image|\
    --container-mounts) shift ;;
    -*) ;;
    *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || { echo "srun: there is no command" >&2; exit 1; }
tasks=${number:-$tasks}
case $tasks in ''|*[!0-9]*|0) echo "srun: -n takes a number, not '$tasks'" >&2; exit 1 ;; esac
[ -z "$folder" ] || cd "$folder" || exit 1
steps=$INTERTIE_SBATCH/steps
SLURM_STEP_ID=$(ls "$steps" | grep -c '^step')
while ! mkdir "$steps/step$SLURM_STEP_ID" 2>/dev/null; do SLURM_STEP_ID=$((SLURM_STEP_ID + 1)); done
export SLURM_STEP_ID SLURM_STEPID=$SLURM_STEP_ID SLURM_STEP_NUM_TASKS=$tasks
export SLURM_STEP_NUM_NODES=1 SLURM_NTASKS=$tasks SLURM_NPROCS=$tasks

named() {  # put the numbers of this job and copy into a file name
  printf %s "$1" | sed \
    -e "s/%t/$SLURM_PROCID/g;s/%[jJA]/$SLURM_JOB_ID/g;s/%n/0/g;s/%s/$SLURM_STEP_ID/g"
}
copy() {  # become the command, as one copy
  [ -z "$out" ] || exec >>"$(named "$out")"
  if [ -n "$err" ]; then exec 2>>"$(named "$err")"; elif [ -n "$out" ]; then exec 2>&1; fi
  exec sh -c ': >"$0/$$"; exec "$@"' "$steps/step$SLURM_STEP_ID" "$@"
}
labelled() {
  copy "$@" 2>&1 | while IFS= read -r line || [ -n "$line" ]; do
    printf '%s: %s\n' "$SLURM_PROCID" "$line"
  done
}
if [ "$tasks" = 1 ] && [ -z "$label" ]; then
  export SLURM_PROCID=0 SLURM_LOCALID=0
  copy "$@"
fi
at=0 copies=
while [ "$at" -lt "$tasks" ]; do
  ( export SLURM_PROCID=$at SLURM_LOCALID=$at
    if [ -n "$label" ]; then labelled "$@"; else copy "$@"; fi ) &
  copies="$copies $!"
  at=$((at + 1))
done
trap : HUP INT TERM
worst=0
for each in $copies; do
  while :; do
    wait "$each"; code=$?
    kill -0 "$each" 2>/dev/null || break
  done
  [ "$code" -le "$worst" ] || worst=$code
done
exit "$worst"
"""

SCONTROL = r"""#!/bin/sh
# scontrol, as `intertie run` brings it: it knows the names of this job's machines.
case "$1 $2" in
  "show hostname"|"show hostnames") printf '%s\n' "${3:-$SLURM_JOB_NODELIST}" | tr , '\n' ;;
  *) echo "scontrol: only 'scontrol show hostnames' is there" >&2; exit 1 ;;
esac
"""
