#!/usr/bin/env bash
# A Slurm of one node on this machine, for the tests: slurm.sh up | down.
# Debian or Ubuntu, as root, on a machine or in a container that nobody else needs: it writes /etc/slurm.
# No accounting, no control groups; one GPU that is only a name, so that requests for it can be seen.
set -euo pipefail

CONF=/etc/slurm/slurm.conf
STATE=/run/marginalia-slurm
MARK="# written by Marginalia's tests/cluster/slurm.sh"

up() {
    if sinfo 2>/dev/null; then
        echo "a Slurm is up already"
        return
    fi
    if ! command -v slurmctld slurmd munged >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge
    fi
    if [ -e "$CONF" ] && ! grep -qF "$MARK" "$CONF"; then
        echo "$CONF exists and is not from this script: leave that cluster alone" >&2
        exit 1
    fi
    mkdir -p "$STATE/ctld" "$STATE/d"
    install -d -o munge -g munge -m 755 /run/munge

    cat >"$CONF" <<CONF
$MARK
ClusterName=marginalia
SlurmctldHost=$(hostname -s)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
GresTypes=gpu
StateSaveLocation=$STATE/ctld
SlurmdSpoolDir=$STATE/d
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
$(slurmd -C | head -n 1) Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    printf '%s\nName=gpu File=/dev/null\n' "$MARK" >/etc/slurm/gres.conf

    pidof munged >/dev/null || runuser -u munge -- /usr/sbin/munged
    slurmctld
    slurmd
    for _ in $(seq 30); do
        [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ] && { sinfo; return; }
        sleep 1
    done
    echo "Slurm has not come up; see $STATE" >&2
    tail -n 5 "$STATE"/*.log >&2
    exit 1
}

down() {
    grep -qsF "$MARK" "$CONF" || { echo "no Slurm of this script is up"; return; }
    for daemon in slurmd slurmctld; do
        [ ! -e "$STATE/$daemon.pid" ] || kill "$(cat "$STATE/$daemon.pid")" || true
    done
    /usr/sbin/munged --stop >/dev/null || true
    rm -rf "$CONF" /etc/slurm/gres.conf "$STATE"
}

case "${1:-}" in
up | down) "$1" ;;
*) echo "usage: slurm.sh up | down" >&2; exit 2 ;;
esac
