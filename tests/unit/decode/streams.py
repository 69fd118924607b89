"""Frames in syntaxes that nothing in the runtime can write, made once with another implementation (imagecodecs).

Each is the gradient below: HTJ2K and JPEG Lossless exactly, 12-bit JPEG within its loss.
"""

from __future__ import annotations

from base64 import b85decode

import numpy as np

ROWS, COLUMNS = 24, 32


def gradient() -> np.ndarray:
    """Return (ROWS, COLUMNS) uint8; the 12-bit streams hold 16 times as much."""
    ys, xs = np.mgrid[:ROWS, :COLUMNS]
    return (5 * xs + 4 * ys).astype(np.uint8)


HTJ2K_LOSSLESS = b85decode(
    "|4;u>04YEK0000W0000O00000000000000W0000O0000000000009R90sl|{2mk^A00092QUDA90ssL31q1{@0smY86Cg-XP*6}%P*6}%P*6"
    "}vNJ#%=02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00000i2worlfWh40Ect{z!Ja`fVKe#bO49}2Xp|y6F?Dwn)U#KbN~i30KgRx1xSpsp"
    "aL)gb^xL%iogH?zP13s6;K6eL_|dAfTyRzcK{Fo0092_a(nm5?6?5HE8rH000000@cI6yr>Cc<LV5sJRaI60afN&LUj5g<b?m(W|Je"
)

JPEG_LOSSLESS = b85decode(
    "|JeV;02TlN0RaF20000000000000020|@`a01F5J7yuvv01*KH+5iXv000I60MGTUYg*Q|t!rA=wXJJf*0rr`TGojql1U_zNhFd<B$A>@B$7"
    "!al1U_zNhGL}NhFd<B$7!al1VBgl1U_zNhFd<B$7&rB$7!al1U_zNhFe@NhFd<B$7!al1U_}l1U_zNhFd<B$7!gB$7!al1U_zNhFd=i6oLqB"
    "$7!al1U_zqDdr@NhFd<B$7!asFFz}l1U_zNhFd<DkPFgB$7!al1U_zN{J+rNhFd<B$7!alA=i@l1U_zNhFd<B&d=}B$7!al1U_zNh&0gNhFd"
    "<B$7!al1hmrl1U_zNhFd<B$A>@B$7!al1U_zNhGL}NhFd<B$7!al1VBgl1U_zNhFd<B$7&rB$7!al1U_zNhFe@NhFd<B$7!al1U_}l1U_zNh"
    "Fd<B$7!W|Je"
)

JPEG_LOSSLESS_12_BIT = b85decode(
    "|JeV;02TlN0RaF20000000000000062Mqti01FHN7yuvv01*KH+5iXv000I60MGvbP^eTY6$*typ-`w)DisQaLZMKoR4Nq;g+ifFs8lKy3WY"
    "*|fdT{w5FkK-0t5&UAV7fv1PBlyK!E}T2oNBkAV7fv1PBlyK!E}T2oNAZfdT{w5FkK-0t5&s2oNAZfdT{w5FkK-0t5&UAV7fv1PBlyK!E}Z0"
    "t5&UAV7fv1PBlyK!E}T2oNAZfdT{w5FkK;fPn%82oNAZfdT{w5FkK-0t5&UAV7fv1PBlypddhj0t5&UAV7fv1PBlyK!E}T2oNAZfdT{wC<qW"
    "BK!E}T2oNAZfdT{w5FkK-0t5&UAV7fv3IYTO5FkK-0t5&UAV7fv1PBlyK!E}T2oNAZf`EYn1PBlyK!E}T2oNAZfdT{w5FkK-0t5&UAfO;Xfd"
    "T{w5FkK-0t5&UAV7fv1PBlyK!E}T2q*{;AV7fv1PBlyK!E}T2oNAZfdT{w5FkK-0tx~I2oNAZfdT{w5FkK-0t5&UAV7fv1PBlyK!SjQ0t5&U"
    "AV7fv1PBlyK!E}T2oNAZfdT{w5Fnr+K!E}T2oNAZfdT{w5FkK-0t5&UAV7fv1PCYy5FkK-0t5&UAV7fv1PBlyK!E}T2oNAZfdUEw1PBlyK!E"
    "}T2oNAZfdT{w5FkK-0t5&UAV7kEfdT{w5FkK-0t5&UAV7fv1PBlyK!E}T2oNBkAV7fv1PBlyK!E}T2oNAZfdT{w5FkK-0t5&s2oNAZfdT{w5"
    "FkK-0t5&UAV7fv1PBlyK!E}Z0t5&UAV7fv1PBlyK!E}T2oNAZfdT{w5FkK;fPn%82oNAZfdT{w5FkK-0t5&UAV7fv1PBlypddhj0t5&UAV7f"
    "v1PBlyK!E}T2oNAZfdT{wC<qWBK!E}T2oNAZfdT{w5FkK-0t5&UAV7fv0RPz"
)

JPEG_EXTENDED_12_BIT = b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00IF40RaI50RaI50s;a81OoyB0s;jD1Oo&H1qKEN1qKEN2MGuU2MGrT1_%oX2?`1d3JL}Y3k(Yi3<("
    "Mf3je_X3k(1l03ZPY5di<h02KfM0RR9100000000000000C4gbUd8xQ~i1Oos70000000000000XBCpSe@VRHZ400;pA002J#kG>?)xW;TQC"
    "2u-P01{~2V>TBOx1A*b2{djon+u6s&XRxxnl~8Dg~YArN>BKcM&lW<xRt!=C;&;Lag5kpO5Svo03^}4#%wMnZ#qf<5@_6GHWw1Nohd)!O&g4"
    "6!s1r*q@V#Njm9%!aVvS!Pymxg;~B8HmAvUF07;{9jM!XC-gLkJ*#"
)
