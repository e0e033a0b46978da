#!/usr/bin/env bash
# One sweep as a job on Slurm: Ray starts on every node of the allocation, the search runs on the first, all ends together.
#
#   sbatch clusters/slurm.sh --data /shared/faces --models /shared/models --trials 200    (from the project's folder)
#
# What stands after the script goes to orchestrator.search. The project's folder, with its .venv, faces and models must lie
# on a file system that all nodes share. A job that ran out of time goes on with the same line and --resume.
#SBATCH --job-name=face-anonymization-search
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --time=08:00:00
#SBATCH --signal=B:INT@120
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?run this by sbatch, from the folder of the project}"

# The secret that every node must share; in your home, which the nodes share too, readable by you alone.
export RAY_AUTH_MODE=token
[ -s "$HOME/.ray/auth_token" ] || uv run --no-sync ray get-auth-token --generate >/dev/null

export PYTHONPATH=$PWD RAY_ENABLE_UV_RUN_RUNTIME_ENV=0 OMP_WAIT_POLICY=PASSIVE
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 10000)) # two jobs on one node must not meet

# Slurm tells two minutes before the end: the search gets Ctrl-C and writes what is finished.
srun --ntasks="$SLURM_JOB_NUM_NODES" uv run --no-sync ray symmetric-run --address "$head:$port" \
    --min-nodes "$SLURM_JOB_NUM_NODES" --num-cpus "$SLURM_CPUS_PER_TASK" --dashboard-host 127.0.0.1 \
    -- python -m orchestrator.search --address auto --out results/slurm "$@" &
step=$!
trap 'kill -INT $step; wait $step' INT
wait "$step"
