// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that calls somebody back in the middle of every transfer, to be paid twice.
contract CallingToken is ERC20 {
    address public target;
    bytes public message;
    uint256 public calls;
    uint256 public successes;

    constructor(address holder, uint256 supply) ERC20("hostile", "HOSTILE") {
        _mint(holder, supply);
    }

    function arm(address target_, bytes calldata message_) external {
        target = target_;
        message = message_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (target == address(0) || calls > 0) return;
        ++calls;
        (bool success, ) = target.call(message);
        if (success) ++successes;
    }
}
